"""Who is flagged as a minor: a threshold of which at most so many of all minors can fall short, as faces have shown.

Faces are in the order of P(minor), and where that is equal, as at 0, at 1 and of points, of the predicted age. Of n
minors that the model has not learnt from, the k-th last is the threshold. A share of all minors comes after it that is
at most `1 - recall` with a probability of P(Binomial(n, 1 - recall) >= k) (order statistics: Wilks 1941); k is the
highest for which that reaches `confidence`.

The order is that of the model's own predictions, before any calibration: so both can be fitted to the same faces.
"""

import math
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Real
from pydantic import Field, FiniteFloat, NonNegativeInt
from scipy.stats import binom

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.minors import is_minor, p_minor

Share = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]


def minors_needed(recall: float, confidence: float) -> int:
    """Return how many minors it takes to guarantee a recall with a confidence.

    >>> minors_needed(0.95, 0.95)
    59
    """
    return math.ceil(math.log(1 - confidence) / math.log(recall) - 1e-9)


def rank(minors: int, recall: float, confidence: float) -> int:
    """Return which of the minors' scores, from the lowest (1), is the threshold; 0 where there are too few minors.

    >>> rank(58, 0.95, 0.95), rank(59, 0.95, 0.95), rank(93, 0.95, 0.95)
    (0, 1, 2)
    """
    ranks = np.arange(1, minors + 1)
    return int((binom.sf(ranks - 1, minors, 1 - recall) >= confidence - 1e-12).sum())


@settings
class Flagged:
    """How many faces of known ages are flagged as minors."""

    minors: NonNegativeInt
    adults: NonNegativeInt
    flagged_minors: NonNegativeInt
    flagged_adults: NonNegativeInt

    def text(self) -> str:
        """Return both counts with their shares: `57 of 59 minors (96.6%) and 3 of 100 adults (3.0%)`."""
        sides = ("minors", self.flagged_minors, self.minors), ("adults", self.flagged_adults, self.adults)
        return " and ".join(
            f"{flagged:,} of {count:,} {side}" + (f" ({flagged / count:.1%})" if count else "")
            for side, flagged, count in sides
        )


@settings
class Threshold:
    """Faces at or above it are flagged as minors; and what became of the faces it was fitted to."""

    recall: Share
    confidence: Share
    boundary: FiniteFloat
    """The age in years up to which a face is a minor's (`predictions.minors.boundary`)."""
    p_minor: Probability
    age: FiniteFloat
    """Of faces with just this P(minor), those are flagged whose predicted age is at most so many years."""
    fitted_to: Flagged

    def flagged(self, prediction: Prediction) -> Bool[np.ndarray, " N"]:
        """Tell which faces are flagged as minors."""
        return _reaches(prediction, self.boundary, self.p_minor, self.age)

    def text(self) -> str:
        """Return the rule, the guarantee, and what became of the faces it was fitted to."""
        rule = f"is above {self.p_minor:.3g}, or just that and the predicted age {self.age:.2f} years or less"
        return (
            f"flagged as minors are those whose P(minor), as the model itself has it before any calibration, {rule}: "
            f"at least {100 * self.recall:g}% of minors like those it was fitted to, with a confidence of "
            f"{100 * self.confidence:g}%\n  of those it was fitted to: {self.fitted_to.text()}"
        )


def count(ages: Real[np.ndarray, " N"], flagged: Bool[np.ndarray, " N"]) -> Flagged:
    """Return how many faces of known ages (years) are flagged."""
    minor = is_minor(ages)
    return Flagged(
        minors=int(minor.sum()),
        adults=int((~minor).sum()),
        flagged_minors=int((minor & flagged).sum()),
        flagged_adults=int((~minor & flagged).sum()),
    )


def fit(
    prediction: Prediction, ages: Real[np.ndarray, " N"], boundary: float, recall: float, confidence: float
) -> Threshold:
    """Return the threshold that flags as few adults as it can, yet `recall` of all minors with `confidence`.

    `ages` are years of faces that neither the model nor its calibration has learnt from, and `boundary` the line
    between minors and adults on their scale. Raises UserError for too few minors, and where there is no adult.
    """
    minor = is_minor(ages)
    minors, needed = int(minor.sum()), minors_needed(recall, confidence)
    if minors < needed:
        raise UserError(
            f"too few minors to guarantee minors.recall={recall:g} with minors.confidence={confidence:g}: "
            f"{minors:,} faces under 18 to fit the threshold to, but {needed:,} are needed"
        )
    if minor.all():
        raise UserError(
            "minors.recall needs faces of adults too, to tell how many of them are flagged, but of those to calibrate "
            "on nobody is 18 or older: widen split.age_range, such as [1,40]"
        )
    p, age = p_minor(prediction, boundary)[minor], prediction.median[minor].astype(np.float64)
    last = np.lexsort((-age, p))[rank(minors, recall, confidence) - 1]
    at = float(p[last]), float(age[last])
    return Threshold(
        recall=recall,
        confidence=confidence,
        boundary=boundary,
        p_minor=at[0],
        age=at[1],
        fitted_to=count(ages, _reaches(prediction, boundary, *at)),
    )


def _reaches(prediction: Prediction, boundary: float, p_minor_at: float, age_at: float) -> Bool[np.ndarray, " N"]:
    """Tell which faces come before a threshold in the order, or are at it."""
    p = p_minor(prediction, boundary)
    return (p > p_minor_at) | (p == p_minor_at) & (prediction.median <= age_at)

"""Who is flagged as a minor: a threshold of which at most so many of all minors can fall short, as faces have shown.

Of n minors that the model has not learnt from, in the order of their scores, the k-th lowest is the threshold. A share
of all minors scores below it that is at most `1 - recall` with a probability of P(Binomial(n, 1 - recall) >= k)
(order statistics: Wilks 1941); k is the highest for which that reaches `confidence`.
"""

import math
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float, Real
from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt
from scipy.stats import binom

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.predictions.base import Prediction

Share = Annotated[float, Field(gt=0, lt=1)]
Score = Literal["p_minor", "youth"]


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
class Threshold:
    """Faces of this score or more are flagged as minors, and what is known of that from the faces it was fitted to."""

    recall: Share
    confidence: Share
    boundary: FiniteFloat
    """The age in years up to which a face is a minor's (`predictions.minors.boundary`)."""
    score: Score
    """P(minor), or the predicted age with its sign turned where a model gives nothing but that."""
    value: FiniteFloat
    minors: PositiveInt
    adults: PositiveInt
    flagged_minors: NonNegativeInt
    flagged_adults: NonNegativeInt

    def flagged(self, prediction: Prediction) -> Bool[np.ndarray, " N"]:
        """Tell which faces are flagged as minors."""
        return _scores(prediction, self.score, self.boundary) >= self.value

    def text(self) -> str:
        """Return the rule, the guarantee, and what became of the faces it was fitted to."""
        rule = (
            f"P(minor) is {self.value:.3g} or more"
            if self.score == "p_minor"
            else f"the predicted age is {-self.value:.2f} years or less"
        )
        return (
            f"flagged as a minor: who's {rule}, by which at least {100 * self.recall:g}% of minors are flagged, with a "
            f"confidence of {100 * self.confidence:g}%\n"
            f"  of those it was fitted to, {self.flagged_minors:,} of {self.minors:,} minors "
            f"({self.flagged_minors / self.minors:.1%}) and {self.flagged_adults:,} of {self.adults:,} adults "
            f"({self.flagged_adults / self.adults:.1%}) are flagged"
        )


def fit(
    prediction: Prediction, ages: Real[np.ndarray, " N"], boundary: float, recall: float, confidence: float
) -> Threshold:
    """Return the threshold that flags most surely few adults, yet `recall` of all minors, with `confidence`.

    `ages` are years of faces that neither the model nor its calibration has learnt from, up to `boundary` of minors.
    Raises UserError for too few minors, and where there is no adult.
    """
    is_minor = ages <= boundary
    minors, adults = int(is_minor.sum()), int((~is_minor).sum())
    needed = minors_needed(recall, confidence)
    if minors < needed:
        raise UserError(
            f"too few minors to guarantee minors.recall={recall:g} with minors.confidence={confidence:g}: "
            f"{minors:,} faces under 18 to fit the threshold to, but {needed:,} are needed"
        )
    if not adults:
        raise UserError(
            "minors.recall needs faces of adults too, to tell how many of them are flagged, but none to calibrate on "
            "is 18 or older: widen split.age_range, such as [1,40]"
        )
    score: Score = "p_minor" if prediction.has_spread else "youth"
    scores = _scores(prediction, score, boundary)
    value = float(np.sort(scores[is_minor])[rank(minors, recall, confidence) - 1])
    flagged = scores >= value
    return Threshold(
        recall=recall,
        confidence=confidence,
        boundary=boundary,
        score=score,
        value=value,
        minors=minors,
        adults=adults,
        flagged_minors=int(flagged[is_minor].sum()),
        flagged_adults=int(flagged[~is_minor].sum()),
    )


def _scores(prediction: Prediction, score: Score, boundary: float) -> Float[np.ndarray, " N"]:
    """Return what grows with the chance of being a minor."""
    return prediction.cdf(boundary) if score == "p_minor" else -prediction.median.astype(np.float64)

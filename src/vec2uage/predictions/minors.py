"""Minor or not: where 18 lies among the ages of some data, and how likely a face is below it."""

import numpy as np
from jaxtyping import Bool, Float, Real

from vec2uage.predictions.base import Prediction

ADULT = 18
"""The age in years from which a person is no minor."""


def is_minor(ages: Real[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Tell which faces are below 18."""
    return ages < ADULT


def boundary(ages: Real[np.ndarray, " N"], limit: int = ADULT) -> float:
    """Return the line between those below `limit` years and the others, on the scale of these ages.

    Of whole years 17 stands for 17.0 to 17.99: a model of such ages gives a person of just under 18 an age of 17, so
    the line lies halfway between 17 and 18. Where ages have fractions it lies just below 18. Ages that are not known
    (NaN) say nothing of it.

    >>> boundary(np.array([4.0, 17.0, 18.0])), boundary(np.array([4.5, 17.0]))
    (17.5, 17.999999999999996)
    """
    known = ages[~np.isnan(ages)]
    return limit - 0.5 if (known == np.floor(known)).all() else float(np.nextafter(limit, 0))


def boundary_text(boundary: float) -> str:
    """Say where the line that `boundary` has returned lies on the scale of ages.

    >>> boundary_text(17.5)
    '17.5 years, as ages are whole years, where 17 stands for 17.0 to 17.99'
    """
    if boundary > ADULT - 0.5:
        return f"{ADULT} years"
    last = ADULT - 1
    return f"{boundary:g} years, as ages are whole years, where {last} stands for {last}.0 to {last}.99"


def p_minor(prediction: Prediction, boundary: float) -> Float[np.ndarray, " N"]:
    """Return each face's probability of being below the line that `boundary` has returned."""
    return prediction.cdf(boundary)

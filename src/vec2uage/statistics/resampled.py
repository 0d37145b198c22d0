"""Means over random splits of the same faces, whose tests are not independent: corrected t (Nadeau and Bengio 2003).

"Inference for the Generalization Error". Splits share faces: what one tests, others have learnt from. So the variance
of their mean is not that of one split divided by their number J, but nearer to (1 / J + test / train) times it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from vec2uage.statistics.bootstrap import LEVEL, Interval, check_values


@dataclass(frozen=True)
class ResampledMean:
    """A mean over splits, and how sure it is."""

    interval: Interval
    """With its 95% interval; the bounds are NaN for one split."""
    p: float
    """Two-sided, of a mean of 0; NaN for one split."""


def resampled_mean(values: Float[np.ndarray, " J"], test_share: float) -> ResampledMean:
    """Return the mean of a value of each of J random splits, such as the difference of two models' errors.

    `test_share` is the number of faces tested in a split divided by that of those trained on. Where all values are the
    same, so is the interval, and p is 1 where they are 0, else 0. Raises ValueError for no or non-finite values.

    >>> found = resampled_mean(np.array([0.1, 0.3, 0.2, 0.4]), 0.25)
    >>> round(found.interval.estimate, 3), round(found.interval.low, 3), round(found.interval.high, 3)
    (0.25, -0.041, 0.541)
    """
    check_values(values)
    mean, number = float(values.mean()), len(values)
    if number < 2:
        return ResampledMean(Interval(mean, float("nan"), float("nan")), float("nan"))
    error = float(np.sqrt((1 / number + test_share) * values.var(ddof=1)))
    if error == 0:
        return ResampledMean(Interval(mean, mean, mean), 1.0 if mean == 0 else 0.0)
    half = float(stats.t.ppf((1 + LEVEL) / 2, number - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, number - 1))
    return ResampledMean(Interval(mean, mean - half, mean + half), p)

"""Bootstrap intervals of a mean, a median or a best value (Efron and Tibshirani 1993)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import stats

Statistic = Literal["mean", "median", "best"]
LEVEL = 0.95
_AT_ONCE = 1_000_000
"""Numbers drawn at a time, so that memory stays small."""


@dataclass(frozen=True)
class Interval:
    """An estimate between the bounds of its confidence interval; NaN where there is too little to tell."""

    estimate: float
    low: float
    high: float

    def times(self, factor: int | float) -> "Interval":
        """Return it in another unit, such as in percent."""
        return Interval(factor * self.estimate, factor * self.low, factor * self.high)


def interval(
    values: Float[np.ndarray, " N"],
    statistic: Statistic,
    generator: np.random.Generator,
    resamples: int = 10_000,
) -> Interval:
    """Return a statistic of independent values with its bootstrap interval.

    Bias-corrected and accelerated (BCa) for the mean and the median; percentiles for the best (lowest) value, whose
    resamples never lie below it: that interval tells where the best of as many values may lie, not the lowest
    possible one. One value, or equal ones, say nothing of spread: the bounds are NaN. Raises ValueError for no or
    non-finite values.
    """
    check_values(values)
    estimate = float(_statistic(values[None], statistic)[0])
    if np.ptp(values) == 0:
        return Interval(estimate, float("nan"), float("nan"))
    draws = np.concatenate(
        [
            _statistic(values[generator.integers(len(values), size=(count, len(values)))], statistic)
            for count in batches(resamples, len(values))
        ]
    )
    ends = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if statistic != "best":
        ends = _corrected(ends, values, statistic, estimate, draws)
    low, high = np.quantile(draws, ends)
    return Interval(estimate, float(low), float(high))


def batches(resamples: int, numbers: int) -> Iterator[int]:
    """Yield how many resamples of so many numbers to draw at a time."""
    batch = max(1, _AT_ONCE // numbers)
    while resamples > 0:
        yield min(batch, resamples)
        resamples -= batch


def check_values(values: Float[np.ndarray, " N"]) -> None:
    """Raise ValueError where there is nothing to compute with."""
    if not len(values):
        raise ValueError("no values")
    if not np.isfinite(values).all():
        raise ValueError("values that are not finite")


def _statistic(samples: Float[np.ndarray, "R N"], statistic: Statistic) -> Float[np.ndarray, " R"]:
    functions: dict[Statistic, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median, "best": np.min}
    return functions[statistic](samples, axis=1)


def _corrected(
    ends: Float[np.ndarray, " 2"],
    values: Float[np.ndarray, " N"],
    statistic: Statistic,
    estimate: float,
    draws: Float[np.ndarray, " R"],
) -> Float[np.ndarray, " 2"]:
    """Return the levels at which BCa reads the quantiles of the resamples (Efron 1987)."""
    # ties with the estimate count half, as a median of few values has many
    below = ((draws < estimate).mean() + (draws <= estimate).mean()) / 2
    if not 0 < below < 1:
        return ends  # all values are equal
    bias = stats.norm.ppf(below)
    n = len(values)
    left_out = _statistic(np.stack([np.delete(values, k) for k in range(n)]), statistic)
    deviations = left_out.mean() - left_out
    squares = (deviations**2).sum()
    acceleration = (deviations**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
    shifted = bias + stats.norm.ppf(ends)
    corrected: Float[np.ndarray, " 2"] = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return corrected

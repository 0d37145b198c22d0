"""Means over rows that are not independent, as of a face in several runs, or of a person in several faces."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vec2uage.statistics.bootstrap import LEVEL, Interval, batches

_ROUNDING = 1e-12
"""Sums in another order differ by about so much, relatively."""


@dataclass(frozen=True, eq=False)
class ClusterMeans:
    """Means of columns over all rows, and over those of resampled clusters."""

    estimate: Float[np.ndarray, " M"]
    draws: Float[np.ndarray, "R M"]

    @property
    def intervals(self) -> list[Interval]:
        """The means between what 95% of the resamples lie between; of one cluster the bounds are NaN."""
        ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        return [_interval(estimate, draws, ends) for estimate, draws in zip(self.estimate, self.draws.T, strict=True)]

    def equal_p(self, expected: float) -> float:
        """Return p of the hypothesis that all means are `expected`, from how far resamples lie from the estimate.

        The statistic is the sum of squared distances, which is Pearson's chi-squared for equal shares; as clusters are
        resampled, rows that depend on each other do not make it too small. NaN where nothing varies.
        """
        far = np.square(self.estimate - expected).sum()
        by_chance = np.square(self.draws - self.estimate).sum(axis=1)
        return float((1 + (by_chance >= far).sum()) / (1 + len(by_chance))) if by_chance.any() else float("nan")


def cluster_means(
    values: Float[np.ndarray, "N M"],
    clusters: Int[np.ndarray, " N"],
    generator: np.random.Generator,
    resamples: int = 10_000,
) -> ClusterMeans:
    """Return the mean of each column, with resamples of whole clusters (Field and Welsh 2007); NaN is left out.

    `clusters` numbers each row's from 0 on. A mean over nothing is NaN.

    >>> means = cluster_means(np.array([[1.0], [1.0], [4.0]]), np.array([0, 0, 1]), np.random.default_rng(0), 500)
    >>> means.estimate, sorted(set(means.draws[:, 0].tolist()))
    (array([2.]), [1.0, 2.0, 4.0])
    """
    known, count = ~np.isnan(values), int(clusters.max()) + 1
    table = np.hstack([np.where(known, values, 0.0), known.astype(float)])
    sums = np.stack([np.bincount(clusters, column, count) for column in table.T], axis=1)
    draws = []
    for size in batches(resamples, count):
        drawn = generator.integers(count, size=(size, count)) + np.arange(size)[:, None] * count
        draws.append(_ratios(np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count) @ sums))
    return ClusterMeans(_ratios(sums.sum(axis=0)[None])[0], np.concatenate(draws))


def _ratios(totals: Float[np.ndarray, "R _"]) -> Float[np.ndarray, "R _"]:
    sums, counts = np.split(totals, 2, axis=1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _interval(estimate: float, draws: Float[np.ndarray, " R"], ends: list[float]) -> Interval:
    draws = draws[~np.isnan(draws)]
    if not len(draws) or np.ptp(draws) <= _ROUNDING * abs(estimate):
        return Interval(float(estimate), float("nan"), float("nan"))
    low, high = np.quantile(draws, ends)
    return Interval(float(estimate), float(low), float(high))

"""Whether what is predicted happens as often as it is said to, as functions of arrays for metrics, tables and figures.

They take what predictions.csv holds, `pit` and `p_minor`, so that a report needs no distributions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import betaincinv, chdtrc

PIT_BINS = 10
_LEAST_EXPECTED = 5  # faces in each bin: with fewer, the test's p-value is no good (Cochran 1954)


def pit_histogram(pit: Float[np.ndarray, " N"], bins: int = PIT_BINS) -> Int[np.ndarray, " bins"]:
    """Return how many probability integral transforms lie in each of some equal bins between 0 and 1.

    Even bins show calibration, a U intervals that are too narrow, a hill ones that are too wide, and a slope a bias
    (Gneiting, Balabdaoui and Raftery 2007).
    """
    return np.histogram(pit, bins, range=(0, 1))[0]


def pit_p(pit: Float[np.ndarray, " N"], bins: int = PIT_BINS) -> float:
    """Return the p-value of Pearson's chi-squared test that the transforms are uniform between 0 and 1.

    It is NaN for fewer than 5 faces a bin, and where a transform is no number.
    """
    if len(pit) < _LEAST_EXPECTED * bins or not np.isfinite(pit).all():
        return np.nan
    expected = len(pit) / bins
    statistic = ((pit_histogram(pit, bins) - expected) ** 2 / expected).sum()
    return float(chdtrc(bins - 1, statistic))


def coverage(pit: Float[np.ndarray, " N"], levels: Float[np.ndarray, " L"]) -> Float[np.ndarray, " L"]:
    """Return the share of faces whose age lies in the central interval of each level, given their transforms."""
    from_middle = np.abs(pit - 0.5)
    return np.array([(from_middle <= level / 2).mean() for level in levels])


@dataclass(frozen=True)
class Reliability:
    """How often what was predicted with a probability came true, in bins of that probability; empty bins are left out.

    `low` and `high` hold the true share with the confidence asked (Clopper and Pearson 1934).
    """

    predicted: Float[np.ndarray, " bins"]
    """Mean probability of the bin's faces."""
    observed: Float[np.ndarray, " bins"]
    """Share of them of which it was true."""
    low: Float[np.ndarray, " bins"]
    high: Float[np.ndarray, " bins"]
    n: Int[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance between predicted and observed, weighted by faces."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.n))


def reliability(
    probability: Float[np.ndarray, " N"], outcome: Bool[np.ndarray, " N"], bins: int = 10, confidence: float = 0.95
) -> Reliability:
    """Return the reliability curve of probabilities in some equal bins between 0 and 1.

    >>> curve = reliability(np.array([0.1, 0.15, 0.9, 0.94]), np.array([False, False, True, False]))
    >>> curve.predicted.round(3), curve.observed, round(curve.error, 3)
    (array([0.125, 0.92 ]), array([0. , 0.5]), 0.272)
    """
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    n = np.bincount(bin_of, minlength=bins)
    filled = n > 0
    true = np.bincount(bin_of, outcome, bins)[filled].astype(int)
    predicted, n = np.bincount(bin_of, probability, bins)[filled], n[filled]
    low, high = share_interval(true, n, confidence)
    return Reliability(predicted / n, true / n, low, high, n)


def share_interval(
    true: Int[np.ndarray, " k"], n: Int[np.ndarray, " k"], confidence: float = 0.95
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Return the exact two-sided interval of a share of which `true` of `n` were seen (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = np.where(true > 0, betaincinv(np.maximum(true, 1), n - true + 1, tail), 0.0)
    high = np.where(true < n, betaincinv(true + 1, np.maximum(n - true, 1), 1 - tail), 1.0)
    return low, high

"""Almost stochastic order: whether the errors of one group of runs are lower at almost all quantiles.

del Barrio, Cuesta-Albertos and Matran (2018); for comparing runs of neural networks Dror, Shlomov and Reichart (2019).
"""

import numpy as np
from jaxtyping import Float
from scipy import stats

from vec2uage.statistics.bootstrap import LEVEL, check_values

CLEAR = 0.2
"""The bound below which an order is to be believed (Ulmer, Hardmeier and Frellsen 2022; tests/statistics)."""


def violation(a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"]) -> float:
    """Return how far a is from having the lower errors at every quantile, from 0 (it has) to 1 (b has).

    The share of the squared distance between the two quantile functions that lies where a's is above b's, computed
    exactly on their steps; 0.5 where they are the same.

    >>> violation(np.array([1.0, 2.0]), np.array([1.5, 2.5]))
    0.0
    """
    check_values(a)
    check_values(b)
    a, b = np.sort(a), np.sort(b)
    # quantile functions jump at multiples of 1/A and 1/B; in between both are constant
    ends = np.unique(np.concatenate([np.arange(1, len(a) + 1) / len(a), np.arange(1, len(b) + 1) / len(b)]).round(12))
    widths = np.diff(ends, prepend=0.0)
    middles = ends - widths / 2
    gap = a[(middles * len(a)).astype(int)] - b[(middles * len(b)).astype(int)]
    total = float((widths * gap**2).sum())
    return float((widths * np.maximum(gap, 0) ** 2).sum()) / total if total > 0 else 0.5


def aso(
    a: Float[np.ndarray, " A"],
    b: Float[np.ndarray, " B"],
    generator: np.random.Generator,
    resamples: int = 1000,
) -> float:
    """Return the upper confidence bound of the violation ratio of "a has the lower errors", in [0, 1].

    As proposed, below 0.5 a is almost stochastically better; but of 20 equal runs against 20, that happens in one
    comparison of five. Below `CLEAR` it happens in one of 25.
    """
    ratio = violation(a, b)
    draws = [
        violation(a[generator.integers(len(a), size=len(a))], b[generator.integers(len(b), size=len(b))])
        for _ in range(resamples)
    ]
    # the deviation of the ratio itself: the root of n*m/(n+m), by which Dror et al. scale, cancels out
    return float(np.clip(ratio + stats.norm.ppf(LEVEL) * np.std(draws), 0.0, 1.0))

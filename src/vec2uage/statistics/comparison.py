"""Whether two groups of runs differ: permutation tests, and how often a run of one beats a run of the other.

Errors are compared, so lower is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from jaxtyping import Float

from vec2uage.statistics.bootstrap import LEVEL, Interval, batches, check_values

ALPHA = 0.05
"""A difference is called one where p, adjusted for the number of comparisons, is below."""
_EXACT = 12
"""Up to so many pairs all sign patterns are tried (4,096), above it random ones."""
_MOST_RUNS = 50  # with so many, the number of runs is not what keeps p from being small


@dataclass(frozen=True)
class Comparison:
    """How runs a differ from runs b."""

    difference: Interval
    """Mean of a minus mean of b."""
    p: float
    """Two-sided, of no difference; NaN with fewer than two runs on a side."""
    superiority: Interval
    """The probability that a run of a has the lower error than one of b; ties count half. NaN where p is."""
    paired: bool
    least_p: float
    """The smallest p that this test gives for so many runs, however far apart they are; NaN where p is."""


def unpaired(
    a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"], generator: np.random.Generator, resamples: int = 10_000
) -> Comparison:
    """Compare independent runs.

    The permuted statistic is Welch's t, so that groups of unequal spread keep the level of the test, nearly from about
    20 runs a side on (Janssen 1997).
    """
    check_values(a)
    check_values(b)
    draws, wins = [], []
    for count in batches(resamples, len(a) * len(b)):
        left = a[generator.integers(len(a), size=(count, len(a)))]
        right = b[generator.integers(len(b), size=(count, len(b)))]
        draws.append(left.mean(1) - right.mean(1))
        wins.append(_wins(left, right))
    fewest = min(len(a), len(b))
    difference = _interval(float(a.mean() - b.mean()), np.concatenate(draws), fewest)
    superiority = _superiority(float(_wins(a[None], b[None])[0]), np.concatenate(wins), fewest)
    least = least_unpaired_p(len(a), len(b), resamples) if fewest == 1 or np.ptp([*a, *b]) > 0 else 1.0
    return Comparison(difference, _welch_p(a, b, generator, resamples), superiority, False, least)


def paired(
    a: Float[np.ndarray, " N"], b: Float[np.ndarray, " N"], generator: np.random.Generator, resamples: int = 10_000
) -> Comparison:
    """Compare runs of the same seeds, pair by pair: whether the signs of their differences may be chance.

    Exact for 12 pairs or fewer, else by random signs.
    """
    check_values(a)
    check_values(b)
    change, won = a - b, (a < b) + 0.5 * (a == b)
    draws, wins = [], []
    for count in batches(resamples, len(change)):
        index = generator.integers(len(change), size=(count, len(change)))
        draws.append(change[index].mean(1))
        wins.append(won[index].mean(1))
    difference = _interval(float(change.mean()), np.concatenate(draws), len(change))
    superiority = _superiority(float(won.mean()), np.concatenate(wins), len(change))
    least = least_paired_p(len(change), resamples) if len(change) == 1 or change.any() else 1.0
    return Comparison(difference, _sign_p(change, generator, resamples), superiority, True, least)


def least_paired_p(pairs: int, resamples: int) -> float:
    """Return the smallest p that so many pairs can give: all of one sign, of 2 to the power of `pairs` patterns.

    >>> least_paired_p(3, 10_000), least_paired_p(6, 10_000)
    (0.25, 0.03125)
    """
    if pairs < 2:
        return float("nan")
    return max(0.5 ** (pairs - 1), 0.0 if pairs <= _EXACT else 1 / (resamples + 1))


def least_unpaired_p(a: int, b: int, resamples: int) -> float:
    """Return about the smallest p that so many runs a side can give: all of one side below all of the other.

    >>> least_unpaired_p(3, 3, 10_000)
    0.1
    """
    if min(a, b) < 2:
        return float("nan")
    extreme = 2 if a == b else 1  # groups of one size can change places
    return max(extreme / comb(a + b, a), 1 / (resamples + 1))


def runs_needed(paired: bool, tests: int, resamples: int) -> int | None:
    """Return the fewest runs a side with which one of so many comparisons can be significant after Holm's correction.

    None where no number of runs is enough, as there are too few resamples.

    >>> runs_needed(True, 1, 10_000), runs_needed(True, 6, 10_000), runs_needed(False, 1, 10_000)
    (6, 8, 4)
    """
    for runs in range(2, _MOST_RUNS):
        least = least_paired_p(runs, resamples) if paired else least_unpaired_p(runs, runs, resamples)
        if tests * least < ALPHA:
            return runs
    return None


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979), in the same order; NaN stays and does not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    order = [int(k) for k in np.argsort(values, kind="stable") if not np.isnan(values[k])]
    adjusted, largest = values.copy(), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, float(values[k]) * (len(order) - rank)))
        adjusted[k] = largest
    return [float(value) for value in adjusted]


def _wins(a: Float[np.ndarray, "R A"], b: Float[np.ndarray, "R B"]) -> Float[np.ndarray, " R"]:
    """Return the share of all pairs of each row in which a is below b; ties count half."""
    below, equal = a[:, :, None] < b[:, None, :], a[:, :, None] == b[:, None, :]
    return np.asarray(below.mean((1, 2)) + 0.5 * equal.mean((1, 2)))


def _superiority(estimate: float, draws: Float[np.ndarray, " R"], n: int) -> Interval:
    """Return a probability that runs won; one run that won says nothing of it."""
    return _interval(estimate if n > 1 else float("nan"), draws, n)


def _interval(estimate: float, draws: Float[np.ndarray, " R"], n: int) -> Interval:
    """Return an estimate with what 95% of its resamples lie between, unless they are all equal: NaN."""
    if n == 1 or np.ptp(draws) == 0:
        return Interval(estimate, float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(estimate, float(low), float(high))


def _welch_p(
    a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"], generator: np.random.Generator, resamples: int
) -> float:
    if min(len(a), len(b)) < 2:
        return float("nan")
    both = np.concatenate([a, b])
    observed = _welch(both[None], len(a))[0]
    reached = 0
    for count in batches(resamples, len(both)):
        shuffled = generator.permuted(np.broadcast_to(both, (count, len(both))), axis=1)
        reached += int(_reaches(_welch(shuffled, len(a)), observed).sum())
    return (reached + 1) / (resamples + 1)


def _welch(rows: Float[np.ndarray, "R N"], n: int) -> Float[np.ndarray, " R"]:
    """Return |t| between the first n values of each row and the others."""
    left, right = rows[:, :n], rows[:, n:]
    gap = np.abs(left.mean(1) - right.mean(1))
    error = np.sqrt(left.var(1, ddof=1) / left.shape[1] + right.var(1, ddof=1) / right.shape[1])
    return np.divide(gap, error, out=np.where(gap > 0, np.inf, 0.0), where=error > 0)


def _sign_p(change: Float[np.ndarray, " N"], generator: np.random.Generator, resamples: int) -> float:
    n = len(change)
    if n < 2:
        return float("nan")
    observed = abs(change.mean())
    if n <= _EXACT:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return float(_reaches(np.abs((signs * change).mean(1)), observed).mean())
    reached = 0
    for count in batches(resamples, n):
        signs = 1 - 2 * generator.integers(2, size=(count, n))
        reached += int(_reaches(np.abs((signs * change).mean(1)), observed).sum())
    return (reached + 1) / (resamples + 1)


def _reaches(drawn: Float[np.ndarray, " R"], observed: float) -> np.ndarray:
    """Tell which draws are as extreme as what was observed; sums in another order differ in their last bits."""
    return drawn >= observed * (1 - 1e-12)

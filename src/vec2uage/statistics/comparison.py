"""Whether two groups of runs differ: permutation tests, and how often a run of one beats a run of the other.

Errors are compared, so lower is better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vec2uage.statistics.bootstrap import LEVEL, Interval, check_values

_EXACT = 12
"""Up to so many pairs all sign patterns are tried (4,096), above it random ones."""
_AT_ONCE = 1_000_000
"""Numbers drawn at a time, so that memory stays small."""


@dataclass(frozen=True)
class Comparison:
    """How runs a differ from runs b."""

    difference: Interval
    """Mean of a minus mean of b."""
    p: float
    """Two-sided, of no difference; NaN with fewer than two runs on a side."""
    superiority: Interval
    """The probability that a run of a has the lower error than one of b; ties count half."""
    paired: bool


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
    for count in _batches(resamples, len(a) * len(b)):
        left = a[generator.integers(len(a), size=(count, len(a)))]
        right = b[generator.integers(len(b), size=(count, len(b)))]
        draws.append(left.mean(1) - right.mean(1))
        wins.append(_wins(left, right))
    difference = _interval(float(a.mean() - b.mean()), np.concatenate(draws), min(len(a), len(b)))
    superiority = _interval(float(_wins(a[None], b[None])[0]), np.concatenate(wins), min(len(a), len(b)))
    return Comparison(difference, _welch_p(a, b, generator, resamples), superiority, paired=False)


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
    for count in _batches(resamples, len(change)):
        index = generator.integers(len(change), size=(count, len(change)))
        draws.append(change[index].mean(1))
        wins.append(won[index].mean(1))
    difference = _interval(float(change.mean()), np.concatenate(draws), len(change))
    superiority = _interval(float(won.mean()), np.concatenate(wins), len(change))
    return Comparison(difference, _sign_p(change, generator, resamples), superiority, paired=True)


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


def _interval(estimate: float, draws: Float[np.ndarray, " R"], n: int) -> Interval:
    if n == 1:
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
    for count in _batches(resamples, len(both)):
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
    for count in _batches(resamples, n):
        signs = 1 - 2 * generator.integers(2, size=(count, n))
        reached += int(_reaches(np.abs((signs * change).mean(1)), observed).sum())
    return (reached + 1) / (resamples + 1)


def _reaches(drawn: Float[np.ndarray, " R"], observed: float) -> np.ndarray:
    """Tell which draws are as extreme as what was observed; sums in another order differ in their last bits."""
    return drawn >= observed * (1 - 1e-12)


def _batches(resamples: int, numbers: int) -> Iterator[int]:
    """Yield how many resamples of so many numbers to draw at a time."""
    batch = max(1, _AT_ONCE // numbers)
    while resamples > 0:
        yield min(batch, resamples)
        resamples -= batch

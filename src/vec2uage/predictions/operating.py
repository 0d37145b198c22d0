"""The operating table: how often each age is taken for the other side of a threshold, in NIST FATE AEV's terms.

Of arrays that predictions.csv holds, so that a report needs no distributions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Real, Shaped

from vec2uage.predictions.minors import ADULT, boundary
from vec2uage.predictions.reliability import share_interval
from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.clusters import cluster_means

FEWEST = 20
"""Of fewer faces a rate says so little that its row is told apart, and no row of them is ranked."""
_THRESHOLDS = range(ADULT, 26)  # of Challenge-T: whoever looks younger than T is asked for a proof of age
_OLDEST = 30  # years: the last age of the table
_BANDS = ((8, 12), (13, 16))


@dataclass(frozen=True)
class OperatingRow:
    """How often the faces of some whole ages are taken for the other side of each threshold."""

    ages: str
    """One age, or the first and last of a band."""
    is_minor: bool
    """Whether it counts that they are taken for the threshold's age or older; otherwise that they are for younger."""
    faces: int
    rates: tuple[Interval, ...]
    """Shares, in the order of the thresholds."""


@dataclass(frozen=True)
class OperatingTable:
    """The rates of each whole age of 1 to 30 and of two bands, at each threshold T."""

    thresholds: tuple[int, ...]
    """Years: 18 to 25, as far as anybody is so old."""
    rows: tuple[OperatingRow, ...]


def operating_table(
    ages: Real[np.ndarray, " N"],
    predicted: Real[np.ndarray, " N"],
    faces: Int[np.ndarray, " N"],
    persons: Int[np.ndarray, " N"],
    generator: np.random.Generator,
    resamples: int = 2_000,
) -> OperatingTable:
    """Return how often ages (years) are taken for the other side of each threshold, by the predicted medians.

    `faces` numbers the faces, of which several runs may have predicted each, `persons` what is resampled. The bounds
    are of a bootstrap; where no resample differs from another, as at a rate of 0, they are exact ones (`bounded`), as a
    bootstrap would call that certain.
    """
    whole = np.floor(ages).astype(int)
    thresholds = tuple(t for t in _THRESHOLDS if t <= max(whole.max(), ADULT))
    above = predicted[:, None] > np.array([boundary(ages, t) for t in thresholds])

    def rates(taken: Bool[np.ndarray, "N T"], of: Bool[np.ndarray, " N"]) -> tuple[Interval, ...]:
        clusters = np.unique(persons[of], return_inverse=True)[1]
        found = cluster_means(taken[of].astype(float), clusters, generator, resamples).intervals
        return tuple(bounded(rate, int(clusters.max()) + 1) for rate in found)

    return OperatingTable(
        thresholds,
        tuple(
            OperatingRow(name, minors, len(np.unique(faces[of])), rates(above if minors else ~above, of))
            for name, minors, of in _groups(whole)
        ),
    )


def bounded(rate: Interval, persons: int) -> Interval:
    """Return a share with exact bounds where its resamples, all alike, have none (Clopper and Pearson 1934)."""
    if not np.isnan(rate.low):
        return rate
    low, high = share_interval(np.array([round(rate.estimate * persons)]), np.array([persons]))
    return Interval(rate.estimate, float(low[0]), float(high[0]))


def _groups(whole: Int[np.ndarray, " N"]) -> Iterator[tuple[str, bool, Bool[np.ndarray, " N"]]]:
    """Yield the name of each row, whether it is of minors, and which faces are in it."""
    single = [(age, age) for age in range(1, _OLDEST + 1)]
    for first, last in (*single[: ADULT - 1], *_BANDS, *single[ADULT - 1 :]):
        of = (first <= whole) & (whole <= last)
        if of.any():
            yield f"{first}-{last}" if first < last else f"{first}", last < ADULT, of


def numbered(subjects: Shaped[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Number the persons of N faces from 0 on; a face whose subject is "" is a person of its own.

    >>> numbered(np.array(["a", "", "a", ""], dtype=object)).tolist()
    [2, 0, 2, 1]
    """
    own = np.array([subject or f"\0{row:012d}" for row, subject in enumerate(subjects)], dtype=object)
    return np.unique(own.astype(str), return_inverse=True)[1]

"""How good predictions are for the faces of each age, gender and source."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.operating import FEWEST, bounded
from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.clusters import cluster_means

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Group:
    """The faces that have one value in a column of the data; years, but for the coverage, with 95% intervals."""

    column: str
    value: str
    faces: int
    persons: int
    mae: Interval
    bias: Interval
    """Of the means."""
    bias_of_median: Interval
    crps: Interval
    coverage_90: Interval | None
    """The share of ages in their 90% intervals; this and the width are None where predictions are points."""
    width_90: Interval | None

    @property
    def is_small(self) -> bool:
        """Whether there are too few faces for the group to be ranked."""
        return self.faces < FEWEST


def breakdown(
    vs: VectorSet,
    prediction: Prediction,
    persons: Int[np.ndarray, " N"],
    generator: np.random.Generator,
    resamples: int = 2_000,
) -> tuple[Group, ...]:
    """Measure the faces of each whole age, gender and source; persons are resampled with all their faces.

    A column in which all faces are alike is left out, but for the age.
    """
    ages = needed_ages(vs, "a breakdown")
    measured = np.stack(list(_of_faces(ages, prediction)), axis=1)

    def group(column: str, value: str, of: Bool[np.ndarray, " N"]) -> Group:
        clusters = np.unique(persons[of], return_inverse=True)[1]
        found = cluster_means(measured[of], clusters, generator, resamples).intervals
        mae, bias, bias_of_median, crps, *of_intervals = found
        count = int(clusters.max()) + 1
        coverage, width = (bounded(of_intervals[0], count), of_intervals[1]) if of_intervals else (None, None)
        return Group(column, value, int(of.sum()), count, mae, bias, bias_of_median, crps, coverage, width)

    return tuple(group(*values) for values in _values(vs, ages))


def _of_faces(ages: Float[np.ndarray, " N"], prediction: Prediction) -> Iterator[Float[np.ndarray, " N"]]:
    """Yield what is measured of each face, in the order of `Group`."""
    yield np.abs(off := prediction.median.astype(np.float64) - ages)
    yield prediction.mean.astype(np.float64) - ages
    yield off
    yield prediction.crps(ages)
    if prediction.has_spread:
        low, high = prediction.interval(0.9)
        yield ((low <= ages) & (ages <= high)).astype(float)
        yield high - low


def _values(vs: VectorSet, ages: Float[np.ndarray, " N"]) -> Iterator[tuple[str, str, Bool[np.ndarray, " N"]]]:
    """Yield each column's name and values, and which faces have them: ages in their order, else the commonest first."""
    whole = np.floor(ages).astype(int)
    for age in np.unique(whole):
        yield "age", str(age), whole == age
    columns: dict[str, Shaped[np.ndarray, " N"]] = {"gender": vs.gender, "source": vs.source}
    for name, column in columns.items():
        values, counts = np.unique(column.astype(str), return_counts=True)
        if len(values) > 1:
            for value in values[np.argsort(-counts, kind="stable")]:
                yield name, str(value) or UNKNOWN, column == value

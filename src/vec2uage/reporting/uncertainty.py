"""Whether the distributions that runs predict can be believed: pooled over the runs of one kind of model.

A face that several runs were tested on, or a person with several faces, is not several times the evidence: intervals
and tests resample persons with all their rows, or faces where persons are not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Real

from vec2uage.base.seeds import numpy_generator
from vec2uage.predictions.minors import is_minor
from vec2uage.predictions.operating import OperatingTable, bounded, operating_table
from vec2uage.predictions.reliability import PIT_BINS
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.read_run import Distributions, Run
from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.clusters import ClusterMeans, cluster_means

LEVELS = np.arange(0.05, 1, 0.05)
"""Of the central intervals whose coverage is drawn."""
_BINS = 10  # of P(minor)
_OPTIONS = ("model", "head", "averaging")
_WORDS = {"averaging": "averaging={}"}  # `none` alone would not say of what
Rows = Bool[np.ndarray, " N"] | slice
Columns = Real[np.ndarray, "N M"] | Bool[np.ndarray, "N M"]


@dataclass(frozen=True)
class Reliability:
    """The faces whose P(minor) lies in one bin."""

    predicted: float
    """The mean P(minor)."""
    observed: Interval
    """The share of minors."""
    faces: int


@dataclass(frozen=True)
class AgeUncertainty:
    """The faces of one whole age; years, but for the coverage."""

    age: int
    faces: int
    mae: Interval
    crps: Interval
    width: Interval
    """Of the 90% intervals."""
    coverage: Interval
    """The share of ages in their 90% intervals."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the distributions of one kind of model are worth."""

    name: str
    runs: tuple[Run, ...]
    faces: int
    persons: int
    """Of those whose subject is not known, each face counts as one."""
    coverage: tuple[Interval, ...]
    """The share of ages in the central intervals of each of `LEVELS`."""
    pit: tuple[Interval, ...]
    """The share of probability integral transforms in each of some equal bins."""
    pit_p: float
    """Of the hypothesis that these shares are equal."""
    reliability: tuple[Reliability, ...]
    """None where all faces are minors, or none is."""
    by_age: tuple[AgeUncertainty, ...]
    operating: OperatingTable


def families(sweep: Sweep) -> dict[str, tuple[Run, ...]]:
    """Return the runs that predict distributions by their kind of model, named by what tells the kinds apart.

    It is what the runs have of model, head and averaging, or of those of these that the variants differ in. Runs that
    predict points count, too: of `averaging=none,swag` over points, `swag` alone predicts distributions.
    """
    options = [option for option in _OPTIONS if option in sweep.by] or _OPTIONS
    kinds = {run.folder: {"model": run.result.model} | run.result.choices for run in sweep.runs}
    told = [option for option in options if len({kind.get(option) for kind in kinds.values()}) > 1] or ["head"]
    found: dict[str, list[Run]] = {}
    for run in (run for run in sweep.runs if run.distributions):
        kind = kinds[run.folder]
        words = [_WORDS.get(option, "{}").format(kind[option]) for option in told if option in kind]
        found.setdefault(" ".join(words) or run.result.model, []).append(run)
    return {name: tuple(members) for name, members in found.items()}


def pool(name: str, runs: Sequence[Run], seed: int, resamples: int) -> Uncertainty:
    """Pool what runs of one kind of model say, all of which predict distributions; `seed` draws the resamples."""
    generator = numpy_generator(seed, "report", "uncertainty", name)
    of_runs = [run.distributions for run in runs if run.distributions]
    rows = _pooled(of_runs)
    faces, persons = (np.unique(column, return_inverse=True)[1] for column in (rows.name, rows.person))
    whole, minor = np.floor(rows.age).astype(int), is_minor(rows.age)

    def means(columns: Columns, of: Rows = slice(None)) -> ClusterMeans:
        clusters = np.unique(persons[of], return_inverse=True)[1]
        return cluster_means(columns[of].astype(float), clusters, generator, resamples)

    def shares(columns: Columns, of: Rows = slice(None)) -> tuple[Interval, ...]:
        return tuple(bounded(share, len(np.unique(persons[of]))) for share in means(columns, of).intervals)

    def count(of: Rows) -> int:
        return len(np.unique(faces[of]))

    pit = means(_in_bins(rows.pit, PIT_BINS))
    inside = (rows.low_90 <= rows.age) & (rows.age <= rows.high_90)
    judged = np.stack([np.abs(rows.prediction - rows.age), rows.crps, rows.high_90 - rows.low_90], axis=1)
    return Uncertainty(
        name=name,
        runs=tuple(runs),
        faces=count(slice(None)),
        persons=int(persons.max()) + 1,
        coverage=shares(np.abs(rows.pit - 0.5)[:, None] <= LEVELS / 2),
        pit=tuple(pit.intervals),
        pit_p=pit.equal_p(1 / PIT_BINS),
        reliability=tuple(
            Reliability(float(rows.p_minor[of].mean()), shares(minor[:, None], of)[0], count(of))
            for of in _in_bins(rows.p_minor, _BINS).T
            if of.any() and 0 < minor.sum() < len(minor)
        ),
        by_age=tuple(
            AgeUncertainty(
                int(age),
                count(whole == age),
                *means(judged, whole == age).intervals,
                *shares(inside[:, None], whole == age),
            )
            for age in np.unique(whole)
        ),
        operating=operating_table(rows.age, rows.prediction, faces, persons, generator, resamples),
    )


def _pooled(of_runs: Sequence[Distributions]) -> Distributions:
    """Return the faces of all runs, one below the other."""
    names = [field.name for field in fields(Distributions)]
    return Distributions(**{name: np.concatenate([getattr(of, name) for of in of_runs]) for name in names})


def _in_bins(shares: Float[np.ndarray, " N"], bins: int) -> Bool[np.ndarray, "N bins"]:
    """Tell in which of some equal bins between 0 and 1 each share lies."""
    return np.minimum((shares * bins).astype(int), bins - 1)[:, None] == np.arange(bins)

"""The statistics of a sweep: how good each variant is, which differences exceed luck, and what each option changes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float

from vec2uage.base.formatting import counted
from vec2uage.base.seeds import numpy_generator
from vec2uage.predictions.metrics import METRICS
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.effects import effects
from vec2uage.reporting.pairing import Score, by_seed
from vec2uage.reporting.pairing import paired as paired_by_seed
from vec2uage.reporting.read_run import Run
from vec2uage.reporting.selection import Selection, select
from vec2uage.reporting.tested import Difference, Effect, adjusted
from vec2uage.runs.result import LARGEST
from vec2uage.statistics.best_of import expected_best, expected_of_best
from vec2uage.statistics.bootstrap import Interval, interval
from vec2uage.statistics.comparison import paired, unpaired
from vec2uage.statistics.dominance import aso

_ALL_PAIRS = 8
"""With more variants than this, each is compared with the one that validation puts first, not with every other."""


@dataclass(frozen=True, eq=False)
class Variant:
    """How good the runs of one variant are; a metric in years, with 95% intervals over its seeds."""

    name: str
    runs: tuple[Run, ...]
    validation: Interval
    mean: Interval
    median: Interval
    best: Interval
    """The best test score, with the interval in which the best of as many runs would lie."""
    expected_best: Float[np.ndarray, " n"]
    """The expected best test score of 1, 2, ... runs."""
    expected_chosen: Float[np.ndarray, " n"]
    """The expected test score of the run with the best validation score of 1, 2, ... runs."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that is computed from one sweep by one metric: `mae` or `crps`, in years."""

    sweep: Sweep
    """With the runs that the metric is known of."""
    metric: str
    variants: tuple[Variant, ...]
    """From the lowest mean validation score to the highest."""
    selection: Selection
    """Among all runs, by their MAE."""
    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]

    @property
    def best(self) -> Variant:
        """The variant that validation puts first."""
        return self.variants[0]

    @property
    def label(self) -> str:
        """What people are shown of the metric: `MAE`."""
        return METRICS[self.metric].label

    def by_test(self) -> list[str]:
        """Return the variants' names from the lowest mean test score to the highest."""
        return [variant.name for variant in sorted(self.variants, key=lambda variant: variant.mean.estimate)]


def analyse(sweep: Sweep, seed: int, resamples: int, metric: str = "mae") -> Analysis:
    """Compute the statistics of a sweep by a metric, of the runs that it is known of: at least one.

    `seed` draws the resamples.
    """
    generator = numpy_generator(seed, "report", sweep.name)
    test, validation = _score("test", metric), _score("validation", metric)
    sweep = replace(sweep, runs=known_runs(sweep, metric))
    variants = [_variant(name, runs, test, validation, generator, resamples) for name, runs in sweep.variants.items()]
    variants.sort(key=lambda variant: variant.validation.estimate)
    return Analysis(
        sweep=sweep,
        metric=metric,
        variants=tuple(variants),
        selection=select(sweep.runs),
        differences=_differences(sweep, variants, test, generator, resamples),
        effects=effects(sweep, test, generator, resamples),
    )


def known_runs(sweep: Sweep, metric: str) -> tuple[Run, ...]:
    """Return the runs that have recorded a metric, as a number that can be averaged."""
    names = f"test/{metric}", f"validation/{metric}"
    return tuple(run for run in sweep.runs if all(0 <= run.scores.get(name, math.nan) <= LARGEST for name in names))


def _score(part: str, metric: str) -> Score:
    name = f"{part}/{metric}"
    return lambda run: run.scores[name]


def _variant(
    name: str,
    runs: Sequence[Run],
    test: Score,
    validation: Score,
    generator: np.random.Generator,
    resamples: int,
) -> Variant:
    of_seeds = by_seed(runs, test)
    of_runs, validated = np.array(list(map(test, runs))), np.array(list(map(validation, runs)))
    return Variant(
        name=name,
        runs=tuple(runs),
        validation=interval(by_seed(runs, validation), "mean", generator, resamples=resamples),
        mean=interval(of_seeds, "mean", generator, resamples=resamples),
        median=interval(of_seeds, "median", generator, resamples=resamples),
        best=interval(of_runs, "best", generator, resamples=resamples),
        expected_best=expected_best(of_runs),
        expected_chosen=expected_of_best(validated, of_runs),
    )


def _differences(
    sweep: Sweep, variants: Sequence[Variant], score: Score, generator: np.random.Generator, resamples: int
) -> tuple[Difference, ...]:
    names = [variant.name for variant in variants]
    pairs = list(combinations(names, 2))
    if len(names) > _ALL_PAIRS:
        pairs = [pair for pair in pairs if pair[0] == names[0]]
    found = [_difference(sweep, one, other, score, generator, resamples) for one, other in pairs]
    return adjusted(found, resamples)


def _difference(
    sweep: Sweep, one: str, other: str, score: Score, generator: np.random.Generator, resamples: int
) -> Difference:
    """Compare runs of the same seeds, runs of one variant with a model that no seed changes, or independent runs."""
    if same := paired_by_seed(sweep.variants[one], sweep.variants[other], score):
        a, b = same
        what = counted(len(a), "same seed")
    else:
        a, b = (by_seed(sweep.variants[name], score) for name in (one, other))
        what = "independent"
        if sweep.is_constant(one) != sweep.is_constant(other):
            a, b = np.broadcast_arrays(a, b)
            what = f"{len(a)} against one model"
    comparison = (unpaired if what == "independent" else paired)(a, b, generator, resamples)
    return Difference(comparison, one, other, what, _order(a, b, generator))


def _order(a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"], generator: np.random.Generator) -> float:
    return aso(a, b, generator) if min(len(a), len(b)) > 1 else math.nan


def across(first: Analysis, second: Analysis, seed: int, resamples: int) -> dict[str, Difference]:
    """Return how each variant that two sweeps share differs, by its name: second minus first, as independent runs."""
    generator = numpy_generator(seed, "report", first.sweep.name, second.sweep.name)
    names = {whole: name for name, whole in second.sweep.whole_names.items() if name in second.sweep.variants}
    score, found = _score("test", first.metric), {}
    for name, runs in first.sweep.variants.items():
        whole = first.sweep.whole_names[name]
        if whole in names:
            a, b = by_seed(second.sweep.variants[names[whole]], score), by_seed(runs, score)
            comparison, order = unpaired(a, b, generator, resamples), _order(a, b, generator)
            called = name if name == names[whole] else whole
            found[called] = Difference(comparison, second.sweep.name, first.sweep.name, "independent", order)
    return dict(zip(found, adjusted(list(found.values()), resamples), strict=True))

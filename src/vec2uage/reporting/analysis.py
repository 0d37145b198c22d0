"""The statistics of a sweep: how good each variant is, which differences exceed luck, and what each option changes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from vec2uage.base.seeds import numpy_generator
from vec2uage.reporting.collect import Run, Sweep
from vec2uage.reporting.selection import Selection, select
from vec2uage.runs.index import value
from vec2uage.statistics.best_of import expected_best, expected_of_best
from vec2uage.statistics.bootstrap import Interval, interval
from vec2uage.statistics.comparison import Comparison, holm, paired, unpaired
from vec2uage.statistics.dominance import aso

_ALL_PAIRS = 8
"""With more variants than this, each is compared with the one that validation puts first, not with every other."""


@dataclass(frozen=True, eq=False)
class Variant:
    """How good the runs of one variant are; MAE in years, with 95% intervals over its runs."""

    name: str
    runs: tuple[Run, ...]
    validation: Interval
    mean: Interval
    median: Interval
    best: Interval
    """The lowest test MAE, with the interval in which the best of as many runs would lie."""
    expected_best: Float[np.ndarray, " n"]
    """The expected lowest test MAE of 1, 2, ... runs."""
    expected_chosen: Float[np.ndarray, " n"]
    """The expected test MAE of the run with the lowest validation MAE of 1, 2, ... runs."""


@dataclass(frozen=True)
class Difference:
    """How the test MAE of one variant differs from another's; years."""

    one: str
    other: str
    comparison: Comparison
    pairs: int
    """How many runs of the same seeds were compared; 0 where all runs were, as independent ones."""
    aso: float
    """The bound of almost stochastic order: where it is low, `one` is better (`statistics.dominance`)."""
    adjusted_p: float = math.nan
    """By Holm's method over all differences of the sweep."""

    @property
    def p(self) -> float:
        """Of this difference alone."""
        return self.comparison.p


@dataclass(frozen=True)
class Effect:
    """What another value of an option changes in the test MAE (years), with equal seeds and all else equal."""

    option: str
    value: str
    baseline: str
    among: str
    """What it is the mean over: all variants, or those of one optimiser."""
    difference: Interval
    p: float
    """Of this effect alone."""
    adjusted_p: float = math.nan
    """By Holm's method over all effects of the sweep."""


Tested = TypeVar("Tested", Difference, Effect)


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that is computed from one sweep."""

    sweep: Sweep
    variants: tuple[Variant, ...]
    """From the lowest mean validation MAE to the highest."""
    selection: Selection
    """Among all runs."""
    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]

    @property
    def best(self) -> Variant:
        """The variant that validation puts first."""
        return self.variants[0]

    def by_test(self) -> list[str]:
        """Return the variants' names from the lowest mean test MAE to the highest."""
        return [variant.name for variant in sorted(self.variants, key=lambda variant: variant.mean.estimate)]


def analyse(sweep: Sweep, seed: int, resamples: int) -> Analysis:
    """Compute the statistics of a sweep; `seed` draws the resamples."""
    generator = numpy_generator(seed, "report", sweep.name)
    variants = [_variant(name, runs, generator, resamples) for name, runs in sweep.variants.items()]
    variants.sort(key=lambda variant: variant.validation.estimate)
    return Analysis(
        sweep=sweep,
        variants=tuple(variants),
        selection=select(sweep.runs),
        differences=_differences(sweep, variants, generator, resamples),
        effects=_effects(sweep, generator, resamples),
    )


def maes(runs: Sequence[Run]) -> Float[np.ndarray, " N"]:
    """Return the test MAE of each run."""
    return np.array([run.test_mae for run in runs])


def _variant(name: str, runs: Sequence[Run], generator: np.random.Generator, resamples: int) -> Variant:
    test, validation = maes(runs), np.array([run.val_mae for run in runs])
    return Variant(
        name=name,
        runs=tuple(runs),
        validation=interval(validation, "mean", generator, resamples=resamples),
        mean=interval(test, "mean", generator, resamples=resamples),
        median=interval(test, "median", generator, resamples=resamples),
        best=interval(test, "best", generator, resamples=resamples),
        expected_best=expected_best(test),
        expected_chosen=expected_of_best(validation, test),
    )


def _differences(
    sweep: Sweep, variants: Sequence[Variant], generator: np.random.Generator, resamples: int
) -> tuple[Difference, ...]:
    names = [variant.name for variant in variants if len(variant.runs) > 1]
    pairs = list(combinations(names, 2))
    if len(names) > _ALL_PAIRS:
        pairs = [pair for pair in pairs if pair[0] == names[0]]
    found = []
    for one, other in pairs:
        same = sweep.pairs(one, other)
        if same:
            a, b = (maes(side) for side in zip(*same, strict=True))
            comparison = paired(a, b, generator, resamples=resamples)
        else:
            a, b = maes(sweep.variants[one]), maes(sweep.variants[other])
            comparison = unpaired(a, b, generator, resamples=resamples)
        found.append(Difference(one, other, comparison, len(same), aso(a, b, generator)))
    return _adjusted(found)


def _adjusted(found: Sequence[Tested]) -> tuple[Tested, ...]:
    """Return differences or effects with their p-values adjusted for their number."""
    return tuple(replace(each, adjusted_p=p) for each, p in zip(found, holm([each.p for each in found]), strict=True))


def _effects(sweep: Sweep, generator: np.random.Generator, resamples: int) -> tuple[Effect, ...]:
    options = [option for option in sweep.factors if option != "optimizer"]
    return _adjusted([effect for option in options for effect in _effects_of(option, sweep, generator, resamples)])


def _effects_of(option: str, sweep: Sweep, generator: np.random.Generator, resamples: int) -> Iterator[Effect]:
    """Yield what each value of an option but the first changes: among all runs, and among those of each optimiser.

    There is one change a seed, the mean over its runs: these share weights, order and split, so that only seeds are
    independent of each other. A run is compared with the one that differs from it in the option alone, and left out
    where there is none. Seeds that lack a pair which other seeds have are left out too: they would weigh optimisers
    differently.
    """
    others = [factor for factor in sweep.factors if factor != option]
    runs = {(value(run.result, option), _all_else(run, others)): run for run in sweep.runs}
    baseline, *values = dict.fromkeys(of_option for of_option, _ in runs)
    optimizers = list(dict.fromkeys(run.result.optimizer for run in sweep.runs if run.result.optimizer))
    for changed in values:
        pairs = [
            (run, runs[baseline, rest])
            for (own, rest), run in runs.items()
            if own == changed and (baseline, rest) in runs
        ]
        for among in ("all", *(optimizers if len(optimizers) > 1 else ())):
            by_seed: dict[tuple[str, ...], list[float]] = {}
            for run, base in pairs:
                if among in ("all", run.result.optimizer):
                    by_seed.setdefault(run.seeds, []).append(run.test_mae - base.test_mae)
            most = max(map(len, by_seed.values()), default=0)
            changes = np.array([np.mean(of_seed) for of_seed in by_seed.values() if len(of_seed) == most])
            if len(changes) > 1:
                found = paired(changes, np.zeros(len(changes)), generator, resamples)
                yield Effect(option, changed, baseline, among, found.difference, found.p)


def _all_else(run: Run, factors: Sequence[str]) -> tuple[str, ...]:
    return (*(value(run.result, factor) for factor in factors), *run.seeds)


def across(first: Analysis, second: Analysis, seed: int, resamples: int) -> dict[str, Difference]:
    """Return how each variant that two sweeps share differs, by its name: second minus first, as independent runs."""
    generator = numpy_generator(seed, "report", first.sweep.name, second.sweep.name)
    found = {}
    for name in first.sweep.variants:
        if name not in second.sweep.variants:
            continue
        a, b = maes(second.sweep.variants[name]), maes(first.sweep.variants[name])
        if min(len(a), len(b)) > 1:
            comparison = unpaired(a, b, generator, resamples)
            found[name] = Difference(second.sweep.name, first.sweep.name, comparison, 0, aso(a, b, generator))
    return dict(zip(found, _adjusted(list(found.values())), strict=True))

"""The statistics of a sweep: how good each variant is, which differences exceed luck, and what each option changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

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
    adjusted_p: float
    """By Holm's method over all differences of the sweep."""
    aso: float
    """The bound of almost stochastic order: where it is low, `one` is better (`statistics.dominance`)."""


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
    adjusted_p: float


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
        found.append((one, other, comparison, len(same), aso(a, b, generator)))
    adjusted = holm([comparison.p for _, _, comparison, _, _ in found])
    return tuple(
        Difference(one, other, comparison, pairs, p, bound)
        for (one, other, comparison, pairs, bound), p in zip(found, adjusted, strict=True)
    )


def _effects(sweep: Sweep, generator: np.random.Generator, resamples: int) -> tuple[Effect, ...]:
    found = []
    for option in sweep.factors:
        if option != "optimizer":
            for changed, baseline, among, by_seed in _changes(sweep, option):
                against_none = np.zeros(len(by_seed))
                found.append((option, changed, baseline, among, paired(by_seed, against_none, generator, resamples)))
    adjusted = holm([compared.p for *_, compared in found])
    return tuple(
        Effect(option, changed, baseline, among, compared.difference, compared.p, p)
        for (option, changed, baseline, among, compared), p in zip(found, adjusted, strict=True)
    )


def _changes(sweep: Sweep, option: str) -> Iterator[tuple[str, str, str, Float[np.ndarray, " S"]]]:
    """Yield (value, first value, optimiser or "all", change of the test MAE in years for each seed) of an option.

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
            of_seeds = [np.mean(changes) for changes in by_seed.values() if len(changes) == most]
            if len(of_seeds) > 1:
                yield changed, baseline, among, np.array(of_seeds)


def _all_else(run: Run, factors: Sequence[str]) -> tuple[str, ...]:
    return (*(value(run.result, factor) for factor in factors), *run.seeds)


def across(first: Analysis, second: Analysis, seed: int, resamples: int) -> list[tuple[str, Difference]]:
    """Return for each variant that two sweeps share how it differs: the second minus the first, as independent runs."""
    generator = numpy_generator(seed, "report", first.sweep.name, second.sweep.name)
    found = []
    for name in first.sweep.variants:
        if name not in second.sweep.variants:
            continue
        a, b = maes(second.sweep.variants[name]), maes(first.sweep.variants[name])
        if min(len(a), len(b)) > 1:
            found.append((name, unpaired(a, b, generator, resamples), aso(a, b, generator)))
    adjusted = holm([comparison.p for _, comparison, _ in found])
    return [
        (name, Difference(second.sweep.name, first.sweep.name, comparison, 0, p, bound))
        for (name, comparison, bound), p in zip(found, adjusted, strict=True)
    ]

"""The statistics of a sweep: how good each variant is, which differences exceed luck, and what each option changes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from vec2uage.base.formatting import counted
from vec2uage.base.seeds import numpy_generator
from vec2uage.reporting.collect import Run, Sweep
from vec2uage.reporting.selection import Selection, select
from vec2uage.statistics.best_of import expected_best, expected_of_best
from vec2uage.statistics.bootstrap import Interval, interval
from vec2uage.statistics.comparison import ALPHA, Comparison, holm, paired, runs_needed, unpaired
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
class Tested:
    """A difference that was tested among others."""

    comparison: Comparison
    adjusted_p: float = field(default=math.nan, kw_only=True)
    """By Holm's method over all differences, or effects, of the sweep."""
    least_p: float = field(default=math.nan, kw_only=True)
    """The smallest that `adjusted_p` could have been with so many runs."""
    needed: int | None = field(default=None, kw_only=True)
    """With how many runs a side `adjusted_p` can be below 5%; None where that takes more resamples."""

    @property
    def p(self) -> float:
        """Of this difference alone."""
        return self.comparison.p

    @property
    def difference(self) -> Interval:
        """Years."""
        return self.comparison.difference

    @property
    def is_shown(self) -> bool:
        """Whether the difference is more than luck, at the 5% level."""
        return self.adjusted_p < ALPHA

    @property
    def could_be_shown(self) -> bool:
        """Whether a test of so many runs could have shown a difference at all."""
        return self.least_p < ALPHA


@dataclass(frozen=True)
class Difference(Tested):
    """How the test MAE of one variant differs from another's; years."""

    one: str
    other: str
    runs: str
    """Which runs were compared: `20 same seeds`, or `independent`."""
    aso: float
    """The bound of almost stochastic order: where it is low, `one` is better (`statistics.dominance`)."""


@dataclass(frozen=True)
class Effect(Tested):
    """What another value of an option changes in the test MAE (years), with equal seeds and all else equal."""

    option: str
    value: str
    baseline: str
    among: str
    """What it is the mean over: all variants, or those of one optimiser."""


Found = TypeVar("Found", bound=Tested)


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
    names = [variant.name for variant in variants]
    pairs = list(combinations(names, 2))
    if len(names) > _ALL_PAIRS:
        pairs = [pair for pair in pairs if pair[0] == names[0]]
    found = [_difference(sweep, one, other, generator, resamples) for one, other in pairs]
    return _adjusted(found, resamples)


def _difference(sweep: Sweep, one: str, other: str, generator: np.random.Generator, resamples: int) -> Difference:
    """Compare runs of the same seeds, runs of one variant with a model that no seed changes, or independent runs."""
    same, (a, b) = sweep.pairs(one, other), (maes(sweep.variants[name]) for name in (one, other))
    if same:
        what, (a, b) = counted(len(same), "same seed"), (maes(side) for side in zip(*same, strict=True))
    elif sweep.is_constant(one) != sweep.is_constant(other):
        a, b = np.broadcast_arrays(a, b)
        what = f"{len(a)} against one model"
    else:
        what = "independent"
    comparison = (unpaired if what == "independent" else paired)(a, b, generator, resamples)
    return Difference(comparison, one, other, what, _order(a, b, generator))


def _order(a: Float[np.ndarray, " A"], b: Float[np.ndarray, " B"], generator: np.random.Generator) -> float:
    return aso(a, b, generator) if min(len(a), len(b)) > 1 else math.nan


def _adjusted(found: Sequence[Found], resamples: int) -> tuple[Found, ...]:
    """Return differences or effects with their p-values adjusted for their number, and what these could have been."""
    p = [each.p for each in found]
    best = [holm([*p[:k], each.comparison.least_p, *p[k + 1 :]])[k] for k, each in enumerate(found)]
    return tuple(
        replace(
            each,
            adjusted_p=adjusted,
            least_p=least,
            needed=runs_needed(each.comparison.paired, len(found), resamples),
        )
        for each, adjusted, least in zip(found, holm(p), best, strict=True)
    )


def _effects(sweep: Sweep, generator: np.random.Generator, resamples: int) -> tuple[Effect, ...]:
    options = [option for option in sweep.factors if option != "optimizer"]
    found = [effect for option in options for effect in _effects_of(option, sweep, generator, resamples)]
    return _adjusted(found, resamples)


def _effects_of(option: str, sweep: Sweep, generator: np.random.Generator, resamples: int) -> Iterator[Effect]:
    """Yield what each value of an option changes against the first that it can be compared with.

    There is one change a seed, the mean over its runs: these share weights, order and split, so that only seeds are
    independent of each other. A run is compared with the one that differs from it in the option alone, and left out
    where there is none. Seeds that lack a pair which other seeds have are left out too: they would weigh optimisers
    differently. A model that no seed changes counts for every seed.
    """
    others = [factor for factor in sweep.factors if factor != option]
    runs = {(run.options.get(option, ""), _all_else(run, others)): run for run in sweep.runs}
    values = list(dict.fromkeys(of_option for of_option, _ in runs))
    for place, changed in enumerate(values):
        of_changed = [(rest, run) for (own, rest), run in runs.items() if own == changed]
        for baseline in values[:place]:
            if pairs := [(run, runs[baseline, rest]) for rest, run in of_changed if (baseline, rest) in runs]:
                for among, changes in _changes(pairs, sweep):
                    compared = paired(changes, np.zeros(len(changes)), generator, resamples)
                    yield Effect(compared, option, changed, baseline, among)
                break


def _changes(pairs: Sequence[tuple[Run, Run]], sweep: Sweep) -> Iterator[tuple[str, Float[np.ndarray, " N"]]]:
    """Yield how the test MAE of paired runs changes, by seed: among all of them, and among those of each optimiser."""
    optimizers = list(dict.fromkeys(run.result.optimizer for run in sweep.runs if run.result.optimizer))
    for among in ("all", *(optimizers if len(optimizers) > 1 else ())):
        by_seed: dict[tuple[str, ...], list[float]] = {}
        of_every_seed = []
        for run, base in pairs:
            change = run.test_mae - base.test_mae
            if {run.folder, base.folder} <= sweep.constant and among == "all":
                of_every_seed.append(change)
            elif among in ("all", run.result.optimizer):
                by_seed.setdefault(run.seeds, []).append(change)
        most = max(map(len, by_seed.values()), default=0)
        changes = [np.mean(of_seed + of_every_seed) for of_seed in by_seed.values() if len(of_seed) == most]
        if of_every_seed and not changes:
            changes = [np.mean(of_every_seed)]
        if changes:
            yield among, np.array(changes)


def _all_else(run: Run, factors: Sequence[str]) -> tuple[str, ...]:
    return (*(run.options.get(factor, "") for factor in factors), *run.seeds)


def across(first: Analysis, second: Analysis, seed: int, resamples: int) -> dict[str, Difference]:
    """Return how each variant that two sweeps share differs, by its name: second minus first, as independent runs."""
    generator = numpy_generator(seed, "report", first.sweep.name, second.sweep.name)
    names = {whole: name for name, whole in second.sweep.whole_names.items() if name in second.sweep.variants}
    found = {}
    for name, runs in first.sweep.variants.items():
        whole = first.sweep.whole_names[name]
        if whole in names:
            a, b = maes(second.sweep.variants[names[whole]]), maes(runs)
            comparison, order = unpaired(a, b, generator, resamples), _order(a, b, generator)
            called = name if name == names[whole] else whole
            found[called] = Difference(comparison, second.sweep.name, first.sweep.name, "independent", order)
    return dict(zip(found, _adjusted(list(found.values()), resamples), strict=True))

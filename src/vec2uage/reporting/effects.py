"""What each swept option changes, with all else equal."""

from collections.abc import Iterator, Sequence

import numpy as np

from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.pairing import Score, Values
from vec2uage.reporting.read_run import Run
from vec2uage.reporting.tested import Effect, adjusted
from vec2uage.statistics.comparison import paired


def effects(sweep: Sweep, score: Score, generator: np.random.Generator, resamples: int) -> tuple[Effect, ...]:
    """Return what the options change that the variants of a sweep do not name: all but the optimiser by default."""
    options = [option for option in sweep.factors if option not in (sweep.by or ("optimizer",))]
    found = [effect for option in options for effect in _effects_of(option, sweep, score, generator, resamples)]
    return adjusted(found, resamples)


def _effects_of(
    option: str, sweep: Sweep, score: Score, generator: np.random.Generator, resamples: int
) -> Iterator[Effect]:
    """Yield what each value of an option changes against the first that it can be compared with.

    There is one change a seed, the mean over its runs (see `pairing`). A run is compared with the one that differs from
    it in the option alone, and left out where there is none. Seeds that lack a pair which other seeds have are left out
    too: they would weigh optimisers differently. A model that no seed changes counts for every seed.
    """
    others = [factor for factor in sweep.factors if factor != option]
    runs = {(run.options.get(option, ""), _all_else(run, others)): run for run in sweep.runs}
    values = list(dict.fromkeys(of_option for of_option, _ in runs))
    for place, changed in enumerate(values):
        of_changed = [(rest, run) for (own, rest), run in runs.items() if own == changed]
        for baseline in values[:place]:
            if pairs := [(run, runs[baseline, rest]) for rest, run in of_changed if (baseline, rest) in runs]:
                for among, changes in _changes(pairs, sweep, score):
                    compared = paired(changes, np.zeros(len(changes)), generator, resamples)
                    yield Effect(compared, option, changed, baseline, among)
                break


def _changes(pairs: Sequence[tuple[Run, Run]], sweep: Sweep, score: Score) -> Iterator[tuple[str, Values]]:
    """Yield how the score of paired runs changes, by seed: among all of them, and among those of each kind."""
    kinds = list(dict.fromkeys(kind for run in sweep.runs if (kind := _kind(run, sweep))))
    for among in ("all", *(kinds if len(kinds) > 1 else ())):
        by_seeds: dict[tuple[str, ...], list[float]] = {}
        of_every_seed = []
        for run, base in pairs:
            change = score(run) - score(base)
            if {run.folder, base.folder} <= sweep.constant and among == "all":
                of_every_seed.append(change)
            elif among in ("all", _kind(run, sweep)):
                by_seeds.setdefault(run.seeds, []).append(change)
        most = max(map(len, by_seeds.values()), default=0)
        changes = [np.mean(of_seed + of_every_seed) for of_seed in by_seeds.values() if len(of_seed) == most]
        if of_every_seed and not changes:
            changes = [np.mean(of_every_seed)]
        if changes:
            yield among, np.array(changes)


def _kind(run: Run, sweep: Sweep) -> str:
    """Return the variant of a run where these are of some options only, else its optimiser."""
    return run.variant if sweep.by else run.result.optimizer or ""


def _all_else(run: Run, factors: Sequence[str]) -> tuple[str, ...]:
    return (*(run.options.get(factor, "") for factor in factors), *run.seeds)

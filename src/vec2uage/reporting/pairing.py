"""Scores of runs as one value a seed: only seeds are independent of each other, whatever else was swept.

Runs of one seed share their first weights, the order of their rows and their split. Where a variant has several runs of
a seed, with other values of what it says nothing of, their mean is what that seed says of it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from vec2uage.reporting.read_run import Run

Score = Callable[[Run], float]
Values = Float[np.ndarray, " S"]
Means = dict[tuple[str, ...], dict[tuple[str, ...], float]]
"""By seed, and by the values of other options."""


def by_seed(runs: Sequence[Run], score: Score) -> Values:
    """Return the mean score of each seed's runs of one variant.

    Seeds that lack other options which most seeds have are left out, as their means would be of something else.
    """
    means = _means(runs, score, range(len(runs[0].others)))
    return np.array([np.mean(list(means[seed].values())) for seed in _complete(means)])


def paired(one: Sequence[Run], other: Sequence[Run], score: Score) -> tuple[Values, Values] | None:
    """Return a score of two variants by seed, of the runs that are equal in all other options that both have.

    An option that only one of them has, as the loss of a head, tells no pairs apart: its runs are averaged. None where
    most runs of either have no partner; a few may lack one, because the other's run did not complete.
    """
    shared = [k for k in range(len(one[0].others)) if all(any(run.others[k] for run in side) for side in (one, other))]
    left, right = _means(one, score, shared), _means(other, score, shared)
    common = {seed: left[seed].keys() & right[seed].keys() for seed in left if seed in right}
    most = max(sum(map(len, side.values())) for side in (left, right))
    if 2 * sum(map(len, common.values())) <= most:
        return None
    seeds = _complete(common)

    def of(side: Means) -> Values:
        return np.array([np.mean([side[seed][rest] for rest in sorted(common[seed])]) for seed in seeds])

    return of(left), of(right)


def _means(runs: Sequence[Run], score: Score, places: Collection[int]) -> Means:
    """Return the mean score of the runs that have the same seeds and the same values of these of the other options."""
    found: dict[tuple[str, ...], dict[tuple[str, ...], list[float]]] = {}
    for run in runs:
        rest = tuple(run.others[place] for place in places)
        found.setdefault(run.seeds, {}).setdefault(rest, []).append(score(run))
    return {seed: {rest: float(np.mean(own)) for rest, own in of_seed.items()} for seed, of_seed in found.items()}


def _complete(found: Mapping[tuple[str, ...], Collection[object]]) -> list[tuple[str, ...]]:
    """Return the seeds with as many other options as any has."""
    most = max(map(len, found.values()))
    return [seed for seed, rest in found.items() if len(rest) == most]

"""How good a combination is told to be on the faces that it was fitted to: as good as on others, and no better."""

import numpy as np
import pytest

from vec2uage.predictions.base import Prediction
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point
from vec2uage.predictions.weighted import WeightedMixture, combine, cross_fitted, mix_weighted, widened


def members(ages: np.ndarray, seed: int, number: int = 3) -> list[Prediction]:
    """Return points and normal distributions that are equally far off."""
    rng = np.random.default_rng(seed)
    off = [ages + rng.normal(0, 2, len(ages)) for _ in range(number)]
    return [Point(age) if place % 2 else Normal(age, np.full(len(ages), 2.0)) for place, age in enumerate(off)]


def mixture(predictions: list[Prediction], fitted_to: list[Prediction], ages: np.ndarray, equal: bool) -> Prediction:
    found = combine(fitted_to, ages, equal)
    wide = [widened(each, spread) for each, spread in zip(predictions, found.spreads, strict=True)]
    return mix_weighted(wide, found.weights.tolist())


@pytest.mark.parametrize("equal", [True, False])
def test_every_face_is_told_by_what_was_fitted_to_the_other_folds(equal: bool) -> None:
    ages = np.random.default_rng(0).permutation(np.repeat(np.arange(1.0, 6.0), 5))
    given = members(ages, seed=1)
    told = cross_fitted(given, ages, equal)
    fold = np.empty(25, dtype=int)
    fold[np.argsort(ages, kind="stable")] = np.arange(25) % 5
    assert {tuple(np.unique(ages[fold == each], return_counts=True)[1]) for each in range(5)} == {(1, 1, 1, 1, 1)}
    for each in range(5):
        rows, others = np.flatnonzero(fold == each), np.flatnonzero(fold != each)
        plain = mixture([one.take(rows) for one in given], [one.take(others) for one in given], ages[others], equal)
        assert told.take(rows).median == pytest.approx(plain.median)
        assert told.median[rows] == pytest.approx(plain.median)
        assert told.crps(ages)[rows] == pytest.approx(plain.crps(ages[rows]), rel=1e-6)


def test_weights_look_better_on_the_faces_that_they_were_fitted_to() -> None:
    for seed in range(3):
        ages = np.random.default_rng(seed).uniform(1, 19, 30)
        given = members(ages, seed, number=6)
        own = mixture(given, given, ages, equal=False).crps(ages).mean()
        assert own < cross_fitted(given, ages, equal=False).crps(ages).mean() - 0.01


def test_weights_of_each_face_are_those_of_as_many_mixtures() -> None:
    rng = np.random.default_rng(0)
    parts = [Normal(rng.normal(size=4), np.ones(4)) for _ in range(3)]
    weights = rng.dirichlet(np.ones(3), 4).T
    weights[:, 0] = [1, 0, 0]
    mixed = WeightedMixture(parts, weights)
    for face in range(4):
        alone = WeightedMixture([part.take(slice(face, face + 1)) for part in parts], weights[:, face])
        assert mixed.mean[face] == pytest.approx(alone.mean[0])
        assert mixed.std[face] == pytest.approx(alone.std[0])
        assert mixed.quantile(0.9)[face] == pytest.approx(alone.quantile(0.9)[0])
        assert mixed.log_density(np.full(4, 0.5))[face] == pytest.approx(alone.log_density(np.full(1, 0.5))[0])

"""What several models say together, against scoringrules, sampling and the definition of a mixture."""

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vec2uage.base.errors import UserError
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.empirical import Empirical
from vec2uage.predictions.laplace import Laplace
from vec2uage.predictions.mixture import Mixture, mix, pool
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Discrete, Quantiles
from vec2uage.predictions.point import Point

GENERATOR = np.random.default_rng(0)
AGES = GENERATOR.uniform(1, 25, 30)
LOCATIONS, SCALES = AGES + GENERATOR.normal(0, 2, (4, 30)), GENERATOR.uniform(0.5, 3, (4, 30))
GRID = np.arange(1.0, 31)
MEMBERS: dict[str, list[Prediction]] = {
    "points": [Point(location) for location in LOCATIONS],
    "normals": [Normal(location, scale) for location, scale in zip(LOCATIONS, SCALES, strict=True)],
    "laplaces": [Laplace(location, scale) for location, scale in zip(LOCATIONS, SCALES, strict=True)],
    "one grid": [Discrete(GRID, GENERATOR.dirichlet(np.ones(30), 30)) for _ in range(3)],
    "two grids": [
        Discrete(GRID, GENERATOR.dirichlet(np.ones(30), 30)),
        Discrete(np.arange(0.0, 40, 3), GENERATOR.dirichlet(np.ones(14), 30)),
    ],
    "quantiles": [
        Quantiles(np.array([0.05, 0.3, 0.5, 0.95]), np.sort(GENERATOR.normal(12, 5, (30, 4)))) for _ in range(3)
    ],
    "two kinds": [Normal(LOCATIONS[0], SCALES[0]), Laplace(LOCATIONS[1], SCALES[1])],
}
every_kind = pytest.mark.parametrize("members", MEMBERS.values(), ids=MEMBERS.keys())


@every_kind
def test_a_mixture_is_the_mean_of_its_distributions(members: list[Prediction]) -> None:
    mixed = mix(members)
    for shift in (-4.0, -0.3, 0.0, 1.7, 6.0):
        expected = np.mean([member.cdf(AGES + shift) for member in members], axis=0)
        np.testing.assert_allclose(mixed.cdf(AGES + shift), expected, atol=1e-12)
        with np.errstate(divide="ignore"):
            density = np.mean([np.exp(member.log_density(AGES + shift)) for member in members], axis=0)
            np.testing.assert_allclose(np.exp(mixed.log_density(AGES + shift)), density, rtol=1e-9)
    np.testing.assert_allclose(mixed.mean, np.mean([member.mean for member in members], axis=0))
    second = np.mean([member.std**2 + member.mean**2 for member in members], axis=0)
    np.testing.assert_allclose(mixed.std, np.sqrt(second - mixed.mean**2), rtol=1e-6)
    # the score of a mixture of any kind, by quadrature
    np.testing.assert_allclose(mixed.crps(AGES), Mixture(members).crps(AGES), atol=1e-6)
    low, high = mixed.interval(0.8)
    expected_low, expected_high = Mixture(members).interval(0.8)
    np.testing.assert_allclose((low, high), (expected_low, expected_high), atol=1e-9)


@every_kind
def test_a_face_keeps_its_mixture_among_others(members: list[Prediction]) -> None:
    some = mix([member.take(np.array([3, 5])) for member in members])
    for name, column in mix(members).columns().items():
        np.testing.assert_allclose(some.columns()[name], column[[3, 5]], rtol=1e-12)


def test_a_mixture_is_as_simple_as_it_can_be() -> None:
    assert isinstance(mix(MEMBERS["points"]), Empirical)
    assert isinstance(mix(MEMBERS["one grid"]), Discrete)
    assert isinstance(mix(MEMBERS["normals"]), Mixture)
    assert mix(MEMBERS["points"][:1]) is MEMBERS["points"][0]
    assert isinstance(pool(MEMBERS["points"]), Point)


def test_scores_are_those_of_scoringrules() -> None:
    equal = np.full((30, 4), 1 / 4)
    np.testing.assert_allclose(
        mix(MEMBERS["normals"]).crps(AGES), scoringrules.crps_mixnorm(AGES, LOCATIONS.T, SCALES.T, equal), atol=1e-6
    )
    of_samples = scoringrules.crps_ensemble(AGES, LOCATIONS.T, estimator="nrg")
    np.testing.assert_allclose(mix(MEMBERS["points"]).crps(AGES), of_samples, rtol=1e-9, atol=1e-12)
    one = Laplace(LOCATIONS[0], SCALES[0])
    np.testing.assert_allclose(one.crps(AGES), scoringrules.crps_laplace(AGES, LOCATIONS[0], SCALES[0]), rtol=1e-9)
    normal = Normal(LOCATIONS[0], SCALES[0])
    np.testing.assert_allclose(normal.crps(AGES), scoringrules.crps_normal(AGES, LOCATIONS[0], SCALES[0]), rtol=1e-9)
    for prediction in (one, normal, mix(MEMBERS["normals"])):
        low, high = prediction.interval(0.9)
        assert (prediction.cdf(high) - prediction.cdf(low)).tolist() == pytest.approx([0.9] * 30)


def test_the_score_of_what_has_lines_is_that_of_many_equally_likely_ages() -> None:
    levels = (np.arange(400) + 0.5) / 400
    for prediction in (*MEMBERS["one grid"][:1], *MEMBERS["quantiles"][:1]):
        first = prediction.take(slice(0, 5))
        samples = np.stack([first.quantile(level) for level in levels], axis=1)
        expected = scoringrules.crps_ensemble(AGES[:5], samples, estimator="nrg")
        np.testing.assert_allclose(first.crps(AGES[:5]), expected, rtol=1e-2)
        np.testing.assert_allclose(first.std, samples.std(axis=1), rtol=1e-2)


@settings(deadline=None, max_examples=50)
@given(
    samples=hnp.arrays(np.float32, (3, 6), elements=st.floats(0, 60, width=32)),
    q=st.floats(0, 1),
    age=hnp.arrays(np.float64, 3, elements=st.floats(-5, 70)),
)
def test_samples_are_counted(samples: np.ndarray, q: float, age: np.ndarray) -> None:
    prediction = Empirical(samples)
    reached = prediction.quantile(q)
    assert (prediction.cdf(reached) >= q).all()
    assert ((prediction.cdf(np.nextafter(reached, -np.inf)) < q) | (reached == samples.min(axis=1))).all()
    np.testing.assert_allclose(prediction.median, np.median(samples.astype(float), axis=1))
    assert (prediction.crps(age) >= -1e-9).all()
    assert ((prediction.pit(age) > 0) & (prediction.pit(age) < 1)).all()
    assert prediction.pit(np.full(3, -9.0)).tolist() == pytest.approx([0.5 / 7] * 3)


@pytest.mark.parametrize("kind", ["normals", "laplaces", "one grid"])
@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_a_tempered_density_is_its_power(kind: str, temperature: float) -> None:
    prediction = MEMBERS[kind][0]
    tempered = prediction.tempered(temperature)
    ages = np.stack([prediction.quantile(q) for q in (0.2, 0.45, 0.9)])
    powers = prediction.log_density(ages) / temperature
    difference = tempered.log_density(ages) - powers  # is the constant that makes it a density
    np.testing.assert_allclose(difference, np.broadcast_to(difference[0], difference.shape), atol=1e-9)


def test_what_has_no_density_takes_no_temperature() -> None:
    for prediction in (MEMBERS["points"][0], mix(MEMBERS["points"]), MEMBERS["quantiles"][0]):
        with pytest.raises(UserError, match="no probabilities"):
            prediction.tempered(2.0)
    with pytest.raises(ValueError, match="above 0"):
        MEMBERS["normals"][0].tempered(0.0)
    both = Mixture(MEMBERS["normals"]).tempered(4.0)
    np.testing.assert_allclose([c.std for c in both.components], [2 * c.std for c in MEMBERS["normals"]])


def test_quantiles_may_have_levels_of_their_own() -> None:
    ages = np.array([[1.0, 3, 9], [2, 2.5, 4]])
    levels = np.array([[0.05, 0.5, 0.95], [0.25, 0.5, 0.75]])
    own = Quantiles(levels, ages)
    for face in range(2):
        alone = Quantiles(levels[face], ages[face : face + 1])
        for found in (own.take(slice(face, face + 1)), own.take(np.array([face]))):
            assert found.quantile(0.7) == alone.quantile(0.7)
            assert found.crps(AGES[:1]) == alone.crps(AGES[:1])
    assert list(own.columns()) == ["prediction", "mean", "low_90", "high_90"]
    assert list(Quantiles(levels[0], ages).columns())[4:] == ["q_0.05", "q_0.5", "q_0.95"]

"""Mixtures whose components weigh differently, and the weights that suit known ages best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from vec2uage.predictions.empirical import Empirical
from vec2uage.predictions.mixture import Mixture
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Discrete, Quantiles
from vec2uage.predictions.point import Point
from vec2uage.predictions.weighted import best_weights, mix_weighted, spread_of, widened

RNG = np.random.default_rng(0)
AGES = RNG.uniform(1, 18, 40)


def normal(deviation: float, seed: int) -> Normal:
    """Predictions that say how far they are off."""
    errors = np.random.default_rng(seed).normal(0, deviation, len(AGES))
    return Normal(AGES + errors, np.full(len(AGES), float(deviation)))


def test_a_component_of_twice_the_weight_counts_as_two() -> None:
    one = normal(2, 1)
    other = Discrete(np.arange(1.0, 19.0), RNG.dirichlet(np.ones(18), len(AGES)))
    weighted, repeated = mix_weighted([one, other], [2 / 3, 1 / 3]), Mixture([one, one, other])
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.std, repeated.std)
    for q in (0.05, 0.5, 0.99):
        np.testing.assert_allclose(weighted.quantile(q), repeated.quantile(q), atol=0.01)
    np.testing.assert_allclose(weighted.cdf(9.0), repeated.cdf(9.0), atol=0.001)
    np.testing.assert_allclose(weighted.log_density(AGES), repeated.log_density(AGES))
    np.testing.assert_allclose(weighted.crps(AGES), repeated.crps(AGES), atol=0.001)
    np.testing.assert_array_equal(weighted.take(np.arange(3)).crps(AGES[:3]), weighted.crps(AGES)[:3])
    np.testing.assert_allclose(weighted.tempered(2.0).cdf(9.0), repeated.tempered(2.0).cdf(9.0), atol=0.001)


def test_a_distribution_that_jumps_keeps_its_jumps() -> None:
    ages = np.sort(RNG.uniform(1, 18, (len(AGES), 3)), axis=1)
    jumps = Quantiles(np.array([0.1, 0.5, 0.9]), ages)  # by 0.1 at either end
    one = normal(2, 1)
    weighted = mix_weighted([one, jumps], [0.5, 0.5])
    for at in (ages[:, 0], np.nextafter(ages[:, 0], -np.inf), ages[:, 2], np.nextafter(ages[:, 2], -np.inf)):
        np.testing.assert_allclose(weighted.cdf(at), (one.cdf(at) + jumps.cdf(at)) / 2, atol=1e-9)


def test_one_prediction_alone_is_itself() -> None:
    one = normal(2, 1)
    assert mix_weighted([one], [1.0]) is one


def test_the_best_weights_have_the_least_score_and_leave_bad_members_out() -> None:
    members = [normal(1.5, 1), normal(2, 2), Normal(AGES + 30, np.ones(len(AGES)))]

    def score(weights: np.ndarray) -> float:
        """As defined, by the score of the mixture itself."""
        best = min(member.crps(AGES).mean() for member in members)
        far = 5 * best / len(AGES) * np.square(weights - 1 / 3).sum()
        return float(mix_weighted(members, weights).crps(AGES).mean() + far)

    found = best_weights(members, AGES)
    total = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    searched = minimize(score, np.full(3, 1 / 3), bounds=[(1e-9, 1)] * 3, constraints=[total], options={"ftol": 1e-12})
    np.testing.assert_allclose(found, searched.x, atol=0.01)
    assert found[2] == 0
    assert found[0] > found[1] > 0.05


@pytest.mark.parametrize(("age", "deviation"), [(1e6, 2.0), (1e30, 2.0), (9.0, 1e5)])
def test_a_member_that_is_far_off_for_one_face_does_not_hide_which_of_the_others_is_better(
    age: float, deviation: float
) -> None:
    good = [normal(1, 1), normal(3, 2)]
    far = Normal(np.append(AGES[1:], age), np.append(np.full(len(AGES) - 1, 2.0), deviation))
    np.testing.assert_allclose(best_weights([*good, far], AGES), [*best_weights(good, AGES), 0], atol=0.02)


def test_members_that_are_never_off_count_the_same() -> None:
    perfect = Normal(AGES, np.full(len(AGES), 1e-9))
    np.testing.assert_allclose(best_weights([perfect, perfect, normal(2, 1)], AGES), [0.5, 0.5, 0], atol=1e-6)


def test_members_that_say_the_same_count_the_same() -> None:
    np.testing.assert_allclose(best_weights([normal(2, 1)] * 4, AGES), 1 / 4)
    assert best_weights([normal(2, 1)], AGES) == pytest.approx([1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.2, 8), min_size=2, max_size=5), st.integers(0, 99))
def test_weights_are_shares_whatever_the_order(deviations: list[float], seed: int) -> None:
    members = [normal(deviation, seed + place) for place, deviation in enumerate(deviations)]
    found = best_weights(members, AGES)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(best_weights(members[::-1], AGES)[::-1], found, atol=1e-6)


def test_points_are_made_as_wide_as_their_errors() -> None:
    points = Point((AGES + np.where(np.arange(40) % 2, 3.0, -3.0)).astype(np.float32))
    assert spread_of(points, AGES) == pytest.approx(3, abs=1e-5)
    wide = widened(points, 3.0)
    np.testing.assert_allclose(wide.mean, points.age)
    np.testing.assert_allclose(wide.std, 3)
    assert spread_of(wide, AGES) is None
    assert widened(wide, None) is wide
    assert spread_of(Point(AGES), AGES) > 0  # a normal distribution has some width
    several = Empirical(np.stack([AGES + 2, AGES + 4], axis=1))  # of two networks
    assert spread_of(several, AGES) == pytest.approx(3)

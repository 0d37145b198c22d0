"""Almost stochastic order: the ratio by another computation, and what the bound says of clear and unclear cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from vec2uage.statistics.dominance import CLEAR, aso, violation

RUNS = st.integers(1, 9).flatmap(lambda n: arrays(float, n, elements=st.integers(0, 20).map(float)))


@given(RUNS, RUNS)
@settings(deadline=None)
def test_the_ratio_is_the_integral_over_a_fine_grid(a, b):
    grid = (np.arange(50_400) + 0.5) / 50_400  # a multiple of all lengths, so that no step is cut
    gap = np.sort(a)[(grid * len(a)).astype(int)] - np.sort(b)[(grid * len(b)).astype(int)]
    expected = (gap[gap > 0] ** 2).sum() / (gap**2).sum() if gap.any() else 0.5
    assert violation(a, b) == pytest.approx(expected, abs=1e-3)
    assert violation(a, b) + violation(b, a) == pytest.approx(1)


def test_a_clearly_better_optimiser_dominates_and_a_worse_one_does_not():
    generator = np.random.default_rng(0)
    good, bad = generator.normal(2.4, 0.05, 20), generator.normal(2.6, 0.05, 20)
    assert aso(good, bad, generator) == 0
    assert aso(bad, good, generator) == 1


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_of_equal_optimisers_at_most_one_in_twenty_is_called_better(draw):
    generator = np.random.default_rng(0)
    runs = [(getattr(generator, draw)(size=20), getattr(generator, draw)(size=20)) for _ in range(200)]
    called = sum(aso(a, b, generator, resamples=60) < CLEAR for a, b in runs)
    assert called <= stats.binom.ppf(0.999, 200, 0.05)


def test_better_at_most_quantiles_is_almost_better():
    generator = np.random.default_rng(0)
    mostly = np.append(np.linspace(2.3, 2.4, 19), 2.61)  # one bad run
    other = np.append(np.linspace(2.45, 2.55, 19), 2.60)
    assert 0 < violation(mostly, other) < 0.01
    assert aso(mostly, other, generator) < CLEAR

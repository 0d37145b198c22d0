"""Bootstrap intervals: SciPy's numbers, the promised coverage, and no surprise at the edges."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from vec2uage.statistics.bootstrap import interval


@pytest.mark.parametrize(("statistic", "function"), [("mean", np.mean), ("median", np.median)])
def test_intervals_are_those_of_scipy(statistic, function):
    values = np.random.default_rng(0).gamma(2.0, 1.0, 25)
    ours = interval(values, statistic, np.random.default_rng(1), resamples=40_000)
    theirs = stats.bootstrap((values,), function, n_resamples=40_000, method="BCa", rng=2).confidence_interval
    assert ours.estimate == function(values)
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        found = interval(generator.normal(2.5, 0.05, 20), "mean", generator, resamples=500)
        covered += found.low <= 2.5 <= found.high
    assert 0.90 <= covered / 400 <= 0.98


def test_the_best_is_bounded_by_itself():
    values = np.array([2.5, 2.4, 2.7, 2.6])
    found = interval(values, "best", np.random.default_rng(0))
    assert (found.estimate, found.low) == (2.4, 2.4)
    assert 2.4 < found.high <= 2.7


@pytest.mark.parametrize("count", [1, 5])
def test_one_value_and_equal_ones_have_no_bounds(count):
    found = interval(np.full(count, 2.5), "median", np.random.default_rng(0))
    assert found.estimate == 2.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_any_number_of_resamples_fits_in_memory():
    tracemalloc.start()
    found = interval(np.linspace(2, 3, 401), "best", np.random.default_rng(0), resamples=20_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.low == 2.0
    assert peak < 20e6


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_values_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="values"):
        interval(np.array(values, dtype=float), "mean", np.random.default_rng(0))


def test_the_seed_matters_and_is_all_that_matters():
    values = np.random.default_rng(0).normal(size=20)
    one, same, other = (interval(values, "mean", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other

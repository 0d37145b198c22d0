"""Bootstrap intervals: SciPy's numbers, the promised coverage, and no surprise at the edges."""

import math

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


def test_one_value_has_no_bounds_and_equal_values_have_none_but_themselves():
    alone = interval(np.array([2.5]), "mean", np.random.default_rng(0))
    assert alone.estimate == 2.5
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)
    same = interval(np.full(5, 2.5), "median", np.random.default_rng(0))
    assert (same.estimate, same.low, same.high) == (2.5, 2.5, 2.5)


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_values_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="values"):
        interval(np.array(values, dtype=float), "mean", np.random.default_rng(0))


def test_the_seed_matters_and_is_all_that_matters():
    values = np.random.default_rng(0).normal(size=20)
    one, same, other = (interval(values, "mean", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other

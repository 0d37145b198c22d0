"""The expected best of n runs is the mean over all sets of n runs."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.statistics.best_of import expected_best, expected_of_best

ERRORS = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=8).map(np.array)


@given(ERRORS)
@settings(deadline=None)
def test_it_is_the_mean_of_the_lowest_over_all_sets(values):
    expected = [np.mean([min(some) for some in combinations(values, n)]) for n in range(1, len(values) + 1)]
    np.testing.assert_allclose(expected_best(values), expected, atol=1e-9)


@given(ERRORS, st.integers(0, 2**32))
@settings(deadline=None)
def test_the_chosen_run_is_followed_over_all_sets_and_ties_are_shared(criterion, seed):
    values = np.random.default_rng(seed).normal(size=len(criterion))
    expected = []
    for n in range(1, len(values) + 1):
        chosen = []
        for some in combinations(range(len(values)), n):
            lowest = [k for k in some if criterion[k] == criterion[list(some)].min()]
            chosen.append(values[lowest].mean())
        expected.append(np.mean(chosen))
    np.testing.assert_allclose(expected_of_best(criterion, values), expected, atol=1e-9)


def test_choosing_by_the_error_itself_is_the_best_and_more_runs_never_hurt():
    values = np.random.default_rng(0).normal(2.5, 0.1, 2000)
    curve = expected_best(values)
    np.testing.assert_allclose(curve, expected_of_best(values, values))
    assert curve[0] == pytest.approx(values.mean())
    assert curve[-1] == values.min()
    assert (np.diff(curve) <= 1e-12).all()
    assert (expected_of_best(np.random.default_rng(1).normal(size=2000), values) >= curve - 1e-12).all()


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="no values"):
        expected_best(np.array([]))

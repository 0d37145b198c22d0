"""Tests between runs: exact where that can be computed, and no false alarm more often than promised."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vec2uage.statistics.comparison import holm, least_paired_p, least_unpaired_p, paired, runs_needed, unpaired

P = st.floats(0, 1) | st.just(math.nan)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_few_pairs_have_the_exact_p():
    a = np.array([2.4, 2.5, 2.45, 2.6, 2.41, 2.39, 2.5])
    b = np.array([2.5, 2.52, 2.47, 2.59, 2.5, 2.45, 2.58])
    theirs = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert paired(a, b, generator()).p == pytest.approx(theirs)


def test_many_pairs_come_near_it():
    a, b = generator(3).normal(2.50, 0.05, 15), generator(4).normal(2.53, 0.05, 15)
    theirs = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert paired(a, b, generator()).p == pytest.approx(theirs, abs=0.015)


def test_independent_runs_come_near_all_divisions():
    a, b = np.array([2.4, 2.5, 2.45, 2.61]), np.array([2.5, 2.62, 2.57, 2.66, 2.58])

    def welch(one, other):
        return abs(stats.ttest_ind(one, other, equal_var=False).statistic)

    both = np.concatenate([a, b])
    drawn = [
        welch(both[list(chosen)], np.delete(both, chosen))
        for chosen in itertools.combinations(range(len(both)), len(a))
    ]
    exact = np.mean(np.array(drawn) >= welch(a, b) - 1e-12)
    assert unpaired(a, b, generator()).p == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("compare", [paired, unpaired])
def test_a_clear_difference_is_found_and_its_size_told(compare):
    noise = generator(1).normal(0, 0.02, 20)
    found = compare(2.4 + noise, 2.5 + noise[::-1], generator())
    assert found.p < 0.001
    assert found.difference.estimate == pytest.approx(-0.1, abs=1e-9)
    assert found.difference.low < -0.1 < found.difference.high < 0
    assert found.superiority.estimate > 0.95
    turned = compare(2.5 + noise[::-1], 2.4 + noise, generator())
    assert turned.superiority.estimate == pytest.approx(1 - found.superiority.estimate)


def test_pairs_of_a_common_seed_tell_more_than_independent_runs():
    seeds = generator(1).normal(0, 0.2, 20)
    a, b = 2.4 + seeds, 2.42 + seeds + generator(2).normal(0, 0.01, 20)
    assert paired(a, b, generator()).p < 0.01 < unpaired(a, b, generator()).p


@pytest.mark.parametrize(("compare", "draw"), [(paired, "normal"), (unpaired, "exponential")])
def test_of_optimisers_that_are_the_same_at_most_one_in_twenty_differs(compare, draw):
    source = generator(7)
    found = sum(
        compare(getattr(source, draw)(size=20), getattr(source, draw)(size=20), source, resamples=99).p < 0.05
        for _ in range(400)
    )
    assert found <= stats.binom.ppf(0.999, 400, 0.05)


def test_among_four_equal_optimisers_one_experiment_in_twenty_finds_any_difference():
    source, found = generator(8), 0
    for _ in range(150):
        runs = source.normal(2.5, 0.05, (4, 20))
        p = [unpaired(a, b, source, resamples=99).p for a, b in itertools.combinations(runs, 2)]
        found += min(holm(p)) < 0.05
    assert found <= stats.binom.ppf(0.999, 150, 0.05)


def test_superiority_is_the_share_of_pairs_and_ties_count_half():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 4.0])
    pairs = [(x < y) + 0.5 * (x == y) for x in a for y in b]
    assert unpaired(a, b, generator()).superiority.estimate == pytest.approx(np.mean(pairs))
    assert paired(a, b, generator()).superiority.estimate == pytest.approx((1 + 0.5 + 1) / 3)


def test_equal_runs_do_not_differ_and_single_ones_cannot_be_tested():
    same = np.full(20, 2.5)
    assert paired(same, same, generator()).p == 1.0
    assert unpaired(same, same, generator()).p == 1.0
    assert math.isnan(unpaired(same[:1], same, generator()).p)
    assert math.isnan(paired(same[:1], same[:1], generator()).p)


@given(st.lists(P, max_size=8))
@settings(deadline=None)
def test_holms_values_are_larger_keep_their_order_and_reject_what_his_procedure_does(p):
    adjusted = holm(p)
    known = sorted((one, other) for one, other in zip(p, adjusted, strict=True) if not math.isnan(one))
    assert all(one <= other <= 1 for one, other in known)
    assert [other for _, other in known] == sorted(other for _, other in known)
    assert [math.isnan(one) for one in p] == [math.isnan(other) for other in adjusted]
    rejected = 0  # step down: the smallest p against 0.05/m, the next against 0.05/(m-1), until one is not below
    for rank, (one, _) in enumerate(known):
        if not one * (len(known) - rank) < 0.05:
            break
        rejected += 1
    assert sum(other < 0.05 for _, other in known) == rejected


def test_the_seed_matters_and_is_all_that_matters():
    a, b = generator(3).normal(2.5, 0.05, 20), generator(4).normal(2.52, 0.05, 20)
    one, same, other = (unpaired(a, b, generator(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 13])
def test_no_test_gives_a_smaller_p_than_it_says_it_can(count):
    far = np.arange(count) / 10
    for test, least in ((paired, least_paired_p(count, 999)), (unpaired, least_unpaired_p(count, count, 999))):
        found = test(far, far + 100, np.random.default_rng(0), resamples=999)
        assert found.least_p == pytest.approx(least, nan_ok=True)
        assert found.p == pytest.approx(least, rel=0.2, abs=0.002, nan_ok=True), (
            "the groups lie as far apart as they can"
        )


def test_equal_runs_cannot_differ_and_one_run_is_no_group():
    same = np.full(6, 2.5)
    for test in (paired, unpaired):
        found = test(same, same, np.random.default_rng(0))
        assert (found.p, found.least_p) == (1.0, 1.0)
        assert np.isnan(found.difference.low)
        alone = test(same[:1], same[:1] + 1, np.random.default_rng(0))
        assert np.isnan([alone.p, alone.least_p, alone.superiority.estimate]).all()


def test_the_runs_that_a_comparison_needs_grow_with_the_number_of_comparisons():
    assert [runs_needed(True, tests, 10_000) for tests in (1, 2, 3, 6)] == [6, 7, 7, 8]
    assert [runs_needed(False, tests, 10_000) for tests in (1, 6)] == [4, 5]
    assert runs_needed(False, 28, 100) is None

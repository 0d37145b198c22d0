"""Means over random splits that share faces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vec2uage.statistics.resampled import resampled_mean

VALUES = st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=30).map(np.array)


@given(VALUES.filter(lambda values: np.ptp(values) > 0.01), st.floats(0.1, 5), st.floats(-5, 5))
def test_it_is_the_t_test_where_nothing_is_shared_and_wider_where_it_is(
    values: np.ndarray, share: float, shift: float
) -> None:
    plain, known = resampled_mean(values, 0.0), stats.ttest_1samp(values, 0.0)
    assert plain.p == pytest.approx(known.pvalue, abs=1e-12)
    low, high = known.confidence_interval(0.95)
    assert (plain.interval.low, plain.interval.high) == pytest.approx((low, high))
    wide = resampled_mean(values + shift, share)
    width = wide.interval.high - wide.interval.low
    assert width == pytest.approx((high - low) * np.sqrt(1 + len(values) * share))
    assert (wide.p < 0.05) == (not wide.interval.low <= 0 <= wide.interval.high)


def test_golden_numbers() -> None:
    """Worked by hand: variance 1/60, times 1/4 + 1/9; quantile 3.182446 of t with 3 degrees of freedom."""
    found = resampled_mean(np.array([0.1, 0.3, 0.2, 0.4]), 1 / 9)
    error = np.sqrt((1 / 4 + 1 / 9) / 60)
    assert found.interval.low == pytest.approx(0.25 - 3.182446 * error, abs=1e-6)
    u = 0.25 / error / np.sqrt(3)  # the distribution function of 3 degrees of freedom has a closed form
    assert found.p == pytest.approx(1 - 2 / np.pi * (u / (1 + u**2) + np.arctan(u)))


def test_one_value_says_nothing_of_spread_and_equal_ones_say_it_is_none() -> None:
    one, equal, none = (resampled_mean(np.array(values), 0.1) for values in ([2.0], [2.0, 2.0], [0.0, 0.0]))
    assert np.isnan([one.interval.low, one.interval.high, one.p]).all()
    assert (equal.interval.low, equal.interval.high, equal.p, none.p) == (2.0, 2.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="no values"):
        resampled_mean(np.array([]), 0.1)


def test_intervals_of_splits_that_share_faces_hold_the_truth_more_often() -> None:
    """A model that says the mean of those it was trained on, with a tenth of 200 people tested, 15 times."""
    rng = np.random.default_rng(0)
    held = {0.0: 0, 20 / 180: 0}
    for _ in range(300):
        people = rng.normal(size=200)
        errors = []
        for _ in range(15):
            order = rng.permutation(200)
            errors.append(np.square(people[order[:20]] - people[order[20:]].mean()).mean())
        for share in held:
            interval = resampled_mean(np.array(errors), share).interval
            held[share] += interval.low <= 1 + 1 / 180 <= interval.high  # variance 1, and that of a mean of 180
    assert held[0.0] < 0.9 * 300
    assert held[20 / 180] > held[0.0] + 15

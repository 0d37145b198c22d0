"""The metrics against plain arithmetic."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.predictions import metrics
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point

pairs = st.lists(st.tuples(st.floats(0, 120, width=32), st.floats(-50, 200, width=32)), min_size=1, max_size=50)


@given(pairs)
def test_measures_agree_with_plain_python(rows: list[tuple[float, float]]) -> None:
    ages, ages_predicted = np.array(rows, dtype=np.float32).T
    predictions = Point(ages_predicted)
    errors = [prediction - age for age, prediction in rows]
    assert metrics.mae(ages, predictions) == pytest.approx(statistics.fmean(map(abs, errors)), rel=1e-12)
    assert metrics.bias(ages, predictions) == pytest.approx(statistics.fmean(errors), rel=1e-9, abs=1e-12)
    assert metrics.rmse(ages, predictions) == pytest.approx(statistics.fmean(e * e for e in errors) ** 0.5)
    assert metrics.cumulative_score(ages, predictions, 5.0) == pytest.approx(
        statistics.fmean(abs(e) <= 5 for e in errors)
    )
    by_age: dict[int, list[float]] = {}
    for (age, _), error in zip(rows, errors, strict=True):
        by_age.setdefault(int(age), []).append(abs(error))
    result = metrics.per_age(ages, predictions)
    assert list(result) == sorted(by_age)
    assert result == pytest.approx({age: statistics.fmean(found) for age, found in by_age.items()}, rel=1e-12)


def test_many_float32_values_are_summed_in_double_precision() -> None:
    ages = np.zeros(1_000_000, dtype=np.float32)
    assert metrics.mae(ages, Point(np.full(1_000_000, 0.1, dtype=np.float32))) == pytest.approx(
        float(np.float32(0.1)), rel=1e-12
    )


@pytest.mark.parametrize(("ages", "predictions"), [(3, 1), (0, 0)])
def test_numbers_of_faces_that_differ_or_are_0_are_refused(ages: int, predictions: int) -> None:
    with pytest.raises(Exception, match=r"at least one|'predicted'"):
        metrics.mae(np.zeros(ages), Point(np.zeros(predictions)))


def test_every_registered_metric_measures_any_prediction() -> None:
    ages = np.array([4.0, 10.0])
    found = metrics.scores(ages, Normal(np.array([5.0, 7.0]), np.array([1.0, 2.0])))
    assert found.keys() == metrics.METRICS.keys()
    assert [found[name] for name in ("mae", "rmse", "bias")] == pytest.approx([2.0, 5**0.5, -1.0])


def test_a_monitor_compares_values_by_how_bad_they_are() -> None:
    assert metrics.METRICS["mae"].badness(2.0) > metrics.METRICS["mae"].badness(1.0)
    assert metrics.METRICS["bias"].badness(-2.0) > metrics.METRICS["bias"].badness(1.0)

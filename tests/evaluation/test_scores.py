"""The scores of an evaluation, against scikit-learn and against each other."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from vec2uage.evaluation.scores import score
from vec2uage.predictions.metrics import METRICS, Metric
from vec2uage.predictions.mixture import mix
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point

YEARS = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 119, width=32))


def test_scores_equal_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    ages = generator.uniform(1, 19, 500).astype(np.float32)
    predicted = (ages + generator.normal(0.5, 2, 500)).astype(np.float32)
    scores = score(ages, Point(predicted), [1.0])
    wide = ages.astype(float), predicted.astype(float)
    assert scores.overall["mae"] == pytest.approx(mean_absolute_error(*wide), rel=1e-12)
    assert scores.overall["rmse"] == pytest.approx(root_mean_squared_error(*wide), rel=1e-12)
    for a in scores.per_age:
        rows = np.floor(ages) == a.age
        expected = mean_absolute_error(*(side[rows] for side in wide))
        assert (a.n, a.mae) == (rows.sum(), pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize("deviation", [None, 2.0])
def test_a_worked_example(deviation: float | None) -> None:
    """Errors of +1, 0, -3 and +2 years, also of distributions around the same points."""
    ages, predicted = np.array([4.0, 4.5, 10.0, 7.9]), np.array([5.0, 4.5, 7.0, 9.9])
    prediction = Point(predicted) if deviation is None else Normal(predicted, np.full(4, deviation))
    scores = score(ages, prediction, [0.0, 1.0, 2.5, 3.0])
    found = [scores.overall[name] for name in ("mae", "rmse", "bias")]
    assert found == pytest.approx([1.5, np.sqrt(14 / 4), 0.0])
    assert scores.cs == ((0, 0.25), (1, 0.5), (2.5, 0.75), (3, 1.0))
    assert [(a.age, a.n) for a in scores.per_age] == [(4, 2), (7, 1), (10, 1)]
    assert [a.mae for a in scores.per_age] == pytest.approx([0.5, 2.0, 3.0])
    assert [a.bias for a in scores.per_age] == pytest.approx([0.5, 2.0, -3.0])


@given(ages=YEARS, data=st.data())
def test_the_ages_add_up_to_the_whole(ages: np.ndarray, data: st.DataObject) -> None:
    predicted = data.draw(hnp.arrays(np.float32, len(ages), elements=st.floats(-50, 150, width=32)))
    scores = score(ages, Point(predicted), [float(k) for k in range(11)])
    mae, rmse, bias = (scores.overall[name] for name in ("mae", "rmse", "bias"))
    assert sum(a.n for a in scores.per_age) == scores.n == len(ages)
    assert sum(a.n * a.mae for a in scores.per_age) == pytest.approx(scores.n * mae)
    assert sum(a.n * a.bias for a in scores.per_age) == pytest.approx(scores.n * bias, abs=1e-6)
    shares = [share for _, share in scores.cs]
    assert shares == sorted(shares)
    assert abs(bias) <= mae + 1e-9
    assert mae <= rmse + 1e-9


def test_the_table_shows_every_score_and_a_new_metric_without_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ages, prediction = np.array([3.0, 15.5]), Point(np.array([5.0, 15.0]))
    lines = score(ages, prediction, [1.0, 2.5]).text().splitlines()
    first = ["2 faces of the ages 3-15", "MAE     1.250 years", "RMSE    1.458 years", "bias   +0.750 years"]
    assert lines[:5] == [*first, "CRPS    1.250 years"]
    assert lines[6:8] == ["k (years)     1   2.5", "CS(k) (%)  50.0 100.0"]
    assert [line.split() for line in lines[9:]] == [
        ["age", "n", "MAE", "bias"],
        ["3", "1", "2.000", "+2.000", "*"],
        ["15", "1", "0.500", "-0.500", "*"],
    ]
    worst = Metric("worst", "worst", lambda a, p: float(np.abs(p.median - a).max()), "years", "lowest")
    monkeypatch.setitem(METRICS, "worst", worst)
    scores = score(ages, prediction, [1.0])
    assert scores.overall["worst"] == 2.0
    assert scores.text().splitlines()[5] == "worst    2.000 years"


def test_a_score_that_is_no_finite_number_is_a_dash() -> None:
    samples = mix([Point(np.array([5.0, 15.0])), Point(np.array([3.5, 16.0]))])  # has no density, and only minors
    text = score(np.array([3.0, 15.5]), samples, [1.0]).text()
    for label in ("log score", "p of PIT", "minor, AUC"):
        assert re.search(rf"{label} +-(\s|$)", text)
    assert re.search(r"coverage at 90% +0\.500", text)


def test_every_age_is_shown_once_however_many_there_are() -> None:
    ages = np.repeat(np.arange(1.0, 64.0), 20)
    text = score(ages, Normal(ages + 1, np.full(len(ages), 2.0)), [1.0]).text()
    table = text[text.index("age  ") :].splitlines()
    cells = [row.split() for row in table[1:]]
    shown = sorted(int(row[k]) for row in cells for k in range(0, len(row), 4))
    assert shown == list(range(1, 64))
    assert table[0].split() == ["age", "n", "MAE", "bias"] * 3
    assert "*" not in text, "20 faces are enough"
    assert all(metric.label in text for metric in METRICS.values())

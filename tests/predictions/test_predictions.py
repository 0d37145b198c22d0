"""Predictions of every type against an independent computation: scipy's quadrature, sampling, and plain formulas."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from vec2uage.predictions.base import Prediction
from vec2uage.predictions.empirical import Empirical
from vec2uage.predictions.laplace import Laplace
from vec2uage.predictions.mixture import Mixture
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Discrete, Quantiles
from vec2uage.predictions.point import Point

POINT = Point(np.array([3.0, 8.5, 17.0]))
NORMAL = Normal(np.array([3.0, 8.5, 17.0]), np.array([0.5, 2.0, 4.0]))
DISCRETE = Discrete(np.array([2.0, 3.0, 5.0, 9.0]), np.array([[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], [0.25] * 4]))
QUANTILES = Quantiles(np.array([0.05, 0.5, 0.95]), np.array([[1.0, 3, 9], [2, 2.5, 4], [7, 11, 18]]))
PREDICTIONS: dict[str, Prediction] = {
    "point": POINT,
    "normal": NORMAL,
    "discrete": DISCRETE,
    "quantiles": QUANTILES,
    "laplace": Laplace(NORMAL.location, NORMAL.scale),
    "empirical": Empirical(np.array([[3.0, 9, 1, 4], [8, 8, 8.5, 2], [17, 30, 12, 13]])),
    "quantiles of own levels": Quantiles(np.array([[0.0, 0.2, 1], [0.1, 0.5, 0.9], [0.3, 0.3, 0.8]]), QUANTILES.ages),
    "mixture of normals": Mixture([NORMAL, Normal(NORMAL.location + 4, NORMAL.scale / 2)]),
    "mixture of points": Mixture([POINT, Point(POINT.age + 2), Point(POINT.age - 1)]),
}
every_type = pytest.mark.parametrize("prediction", PREDICTIONS.values(), ids=PREDICTIONS.keys())


@every_type
@settings(deadline=None, max_examples=25)
@given(q=st.floats(0, 1), age=st.floats(-5, 40))
def test_a_quantile_is_the_least_age_that_reaches_its_level(prediction: Prediction, q: float, age: float) -> None:
    reached = prediction.quantile(q)
    finite = np.isfinite(reached)
    assert (prediction.cdf(np.where(finite, reached + 1e-6, 0))[finite] >= q - 1e-6).all()
    assert (prediction.cdf(np.where(finite, reached - 1e-6, 0))[finite] <= q + 1e-6).all()
    assert ((prediction.cdf(age) >= 0) & (prediction.cdf(age) <= prediction.cdf(age + 1))).all()
    many = np.linspace(age, age + 9, 7)[:, None] * np.ones(len(prediction))
    np.testing.assert_array_equal(prediction.cdf(many), [prediction.cdf(row) for row in many])
    assert (prediction.crps(many[0]) >= -1e-9).all()


@every_type
def test_the_score_and_the_mean_are_the_integrals_that_define_them(prediction: Prediction) -> None:
    ages = np.array([4.0, 2.25, 12.0])
    for row, age in enumerate(ages):
        own = prediction.take(slice(row, row + 1))
        knots = sorted({float(x) for x in own.knots()[0]} | {age})
        grid = np.concatenate([np.linspace(a, b, 400) for a, b in pairwise(knots)] or [[age]])
        middle = (grid[1:] + grid[:-1]) / 2
        cdf = own.take(np.zeros(len(middle), dtype=int)).cdf(middle)
        crps = ((cdf - (middle >= age)) ** 2 * np.diff(grid)).sum()
        assert own.crps(np.array([age]))[0] == pytest.approx(crps, rel=1e-3, abs=1e-4)
        # an integral of 1 - cdf above the first edge, which all mass lies above
        assert own.mean[0] == pytest.approx(grid[0] + ((1 - cdf) * np.diff(grid)).sum(), rel=1e-3, abs=1e-3)


def test_the_normal_is_scipys() -> None:
    known = stats.norm(NORMAL.location, NORMAL.scale)
    ages = np.array([2.0, 9.0, 30.0])
    np.testing.assert_allclose(NORMAL.cdf(ages), known.cdf(ages), rtol=1e-12)
    np.testing.assert_allclose(NORMAL.log_density(ages), known.logpdf(ages), rtol=1e-12)
    np.testing.assert_allclose(NORMAL.quantile(0.9), known.ppf(0.9), rtol=1e-12)
    by_quadrature = Prediction.crps(NORMAL, ages)
    np.testing.assert_allclose(NORMAL.crps(ages), by_quadrature, rtol=1e-5)


@pytest.mark.parametrize("prediction", [DISCRETE, NORMAL, PREDICTIONS["mixture of normals"]])
def test_a_density_is_the_slope_of_its_distribution_function(prediction: Prediction) -> None:
    age = np.array([4.4, 2.3, 5.1])
    slope = (prediction.cdf(age + 1e-6) - prediction.cdf(age - 1e-6)) / 2e-6
    np.testing.assert_allclose(np.exp(prediction.log_density(age)), slope, rtol=1e-4, atol=1e-9)
    low, high = float(prediction.knots()[0, 0]), float(prediction.knots()[0, -1])
    first = prediction.take(slice(0, 1))
    edges = [float(x) for x in first.knots()[0]]
    area, _ = integrate.quad(lambda x: float(np.exp(first.log_density(x))[0]), low, high, points=edges[1:-1], limit=400)
    assert area == pytest.approx(1, abs=1e-6)


def test_where_a_distribution_function_jumps_the_density_is_infinite() -> None:
    inside_out = Quantiles(np.array([0.1, 0.4, 0.6, 1.0]), np.array([[3.0, 5, 5, 9]]))
    density = [float(inside_out.log_density(age)[0]) for age in (2.9, 3.0, 4.0, 5.0, 8.0, 9.0, 9.1)]
    assert density == pytest.approx(
        [-np.inf, np.inf, np.log(0.3 / 2), np.inf, np.log(0.4 / 4), np.log(0.4 / 4), -np.inf]
    )
    assert POINT.log_density(8.5).tolist() == [-np.inf, np.inf, -np.inf]
    assert Mixture([inside_out, Point(np.array([4.0]))]).log_density(4.0).tolist() == [np.inf]


def test_a_probability_is_spread_over_the_cell_around_its_age() -> None:
    assert DISCRETE.cdf(2.5).tolist() == pytest.approx([0.1, 1, 0.25])
    assert DISCRETE.median[1] == pytest.approx(2.0)
    assert DISCRETE.cdf(1.4).tolist() == [0, 0, 0]


def test_the_score_of_a_point_is_its_error_and_of_points_the_energy_form() -> None:
    ages = np.array([4.0, 2.0, 17.5])
    np.testing.assert_allclose(POINT.crps(ages), np.abs(POINT.age - ages))
    points = np.stack([component.mean for component in PREDICTIONS["mixture of points"].components])  # type: ignore[attr-defined]
    energy = np.abs(points - ages).mean(0) - np.abs(points[:, None] - points[None]).mean((0, 1)) / 2
    np.testing.assert_allclose(PREDICTIONS["mixture of points"].crps(ages), energy, rtol=1e-12)


@every_type
def test_columns_begin_with_the_median_and_rows_can_be_taken(prediction: Prediction) -> None:
    columns = prediction.columns()
    assert next(iter(columns)) == "prediction"
    np.testing.assert_allclose(columns["prediction"], prediction.median)
    assert {len(column) for column in columns.values()} == {len(prediction)}
    for name, column in prediction.take(np.array([2, 0])).columns().items():
        np.testing.assert_allclose(column, columns[name][[2, 0]])


def test_a_face_of_no_number_has_no_median_and_no_faces_have_no_rows() -> None:
    gone = np.array([np.nan, 8.5])
    predictions = [
        Point(gone),
        Normal(gone, np.ones(2)),
        Discrete(DISCRETE.ages, np.array([[np.nan] * 4, [0.25] * 4])),
        Quantiles(np.array([0.1, 0.9]), np.array([[np.nan, 3], [8, 9]])),
        Mixture([Point(gone), Point(np.array([5.0, 9.0]))]),
    ]
    for prediction in predictions:
        for column in prediction.columns().values():
            assert not np.isnan(column[1])
        assert np.isnan(prediction.median[0])
        assert np.isnan(prediction.mean[0])
        assert {len(column) for column in prediction.take(slice(0)).columns().values()} == {0}


def test_a_level_beyond_0_and_1_is_refused() -> None:
    for prediction in PREDICTIONS.values():
        with pytest.raises(ValueError, match="level"):
            prediction.quantile(1.5)

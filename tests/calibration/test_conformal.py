"""Conformal distributions: against crepes itself and a count by hand, and what becomes of bins that are too small."""

import json
import warnings

import numpy as np
import pytest
from crepes import ConformalPredictiveSystem
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.calibration.conformal import Conformal, FittedConformal, residuals_needed
from vec2uage.calibration.fitted import from_json
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point


def faces(count: int, seed: int = 0, noise: float = 1.0) -> tuple[Point, np.ndarray]:
    """Predicted ages, and true ones that are further off the older a face is."""
    generator = np.random.default_rng(seed)
    predicted = generator.uniform(5, 30, count)
    return Point(predicted), predicted + noise * (1 + predicted / 10) * generator.standard_normal(count)


def intervals(fitted: FittedConformal, prediction: Point | Normal, level: float, **columns: np.ndarray) -> np.ndarray:
    calibrated = fitted(prediction, columns)
    return np.column_stack([calibrated.quantile((1 - level) / 2), calibrated.quantile((1 + level) / 2)])


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("scale", ["none", "spread"])
def test_intervals_are_those_of_crepes(level: float, scale: str) -> None:
    points, ages = faces(211)
    spread = np.random.default_rng(1).uniform(0.5, 3, 211)
    prediction = Normal(points.age, spread)
    fitted = Conformal(bins=3, scale=scale).fit(prediction, ages, {})  # type: ignore[arg-type]
    edges = np.quantile(points.age, [1 / 3, 2 / 3])
    low, high = prediction.interval(0.9)
    sigmas = (high - low) if scale == "spread" else np.ones(211)
    bins = np.searchsorted(edges, points.age, side="right")
    system = ConformalPredictiveSystem().fit(ages - points.age, sigmas=sigmas, bins=bins)
    wanted = system.predict_int(points.age, sigmas=sigmas, bins=bins, confidence=level, y_min=0)
    np.testing.assert_allclose(intervals(fitted, prediction, level), wanted, atol=1e-9)


@given(st.integers(39, 120), st.sampled_from([0.5, 0.8, 0.9, 0.94, 0.95]))
def test_an_interval_leaves_out_the_errors_that_the_level_allows(count: int, level: float) -> None:
    """By hand: of n errors, the k-th from below and from above, with k the whole of (n + 1)(1 - level) / 2."""
    predicted, errors = np.full(count, 90.0), np.random.default_rng(count).permutation(count) - count / 2
    fitted = Conformal(bins=1).fit(Point(predicted), predicted + errors, {})
    k = int(round((count + 1) * (1 - level) / 2, 9) // 1)
    low, high = intervals(fitted, Point(predicted), level)[0] - 90
    assert low == pytest.approx(np.sort(errors)[k - 1])
    assert high == pytest.approx(np.sort(errors)[-k])


def test_as_many_errors_are_needed_as_give_the_level() -> None:
    assert [residuals_needed(level) for level in (0.9, 0.95, 0.99)] == [19, 39, 199]
    for level in (0.9, 0.95):
        needed = residuals_needed(level)
        points, ages = faces(needed)
        fitted = Conformal(level=level).fit(points, ages, {})
        assert fitted.everyone.counts == (needed,)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # crepes warns where it cannot give a level
            system = ConformalPredictiveSystem().fit(ages - points.age)
            wanted = system.predict_percentiles(
                points.age, lower_percentiles=round(50 * (1 - level), 9), higher_percentiles=round(50 * (1 + level), 9)
            )
        np.testing.assert_allclose(intervals(fitted, points, level), np.maximum(wanted, 0))
        with pytest.raises(UserError, match=f"{needed - 1}, but .* needs {needed}"):
            Conformal(level=level).fit(points.take(slice(1, None)), ages[1:], {})


def test_small_bins_are_merged_and_told() -> None:
    points, ages = faces(100)
    fitted = Conformal(bins=5).fit(points, ages, {})
    assert sum(fitted.everyone.counts) == 100
    assert min(fitted.everyone.counts) >= 39
    assert f"{5 - len(fitted.everyone.counts)} bins of 5 merged" in fitted.text()
    large = Conformal(bins=5).fit(*faces(1000), {})
    assert large.everyone.counts == (200,) * 5
    assert "merged" not in large.text()


def test_predicted_ages_that_are_all_alike_are_one_bin() -> None:
    ages = np.linspace(1, 18, 80)
    assert Conformal().fit(Point(np.full(80, 9.0)), ages, {}).everyone.counts == (80,)


def test_columns_are_calibrated_apart_where_they_have_enough_faces() -> None:
    points, ages = faces(400)
    gender = np.array(["female"] * 200 + ["male"] * 130 + [""] * 25 + ["x"] * 45, dtype=object)
    source = np.array(["a"] * 355 + ["b"] * 25 + ["c"] * 20, dtype=object)
    ages[:200] += 10  # the model takes them for ten years younger
    columns = {"gender": gender, "source": source}
    fitted = Conformal(columns=("gender",), bins=2).fit(points, ages, columns)
    named = {group.values for group in fitted.groups}
    assert named == {(("female",),), (("male",),), (("x",),)}
    assert fitted.pooled == (("",),)
    assert "calibrated as everyone, too few faces: unknown" in fitted.text()
    both = Conformal(columns=("gender", "source"), bins=2).fit(points, ages, columns)
    assert {group.values for group in both.groups} == {
        (("female", "a"),),
        (("male", "a"),),
        (("", "a"), ("x", "b"), ("x", "c")),
    }
    assert "merged into others, too few faces each: unknown a, x b, x c" in both.text()

    one = Point(np.full(4, 20.0))
    values = np.array(["female", "male", "", "never seen"], dtype=object)
    female, male, pooled, unseen = fitted(one, {"gender": values}).median
    assert female == pytest.approx(30, abs=1.5)
    assert male == pytest.approx(20, abs=1.5)
    everyone = Conformal(bins=2).fit(points, ages, {})(one.take(slice(0, 1)), {}).median[0]
    assert pooled == unseen == pytest.approx(everyone)


def test_coverage_is_as_promised_for_each_bin_where_faces_are_exchangeable() -> None:
    """Over many draws of 100 faces; of one bin alone, though errors grow with age."""
    covered = []
    new, truth = faces(2000, seed=99)
    for seed in range(60):
        fitted = Conformal(bins=2, level=0.9).fit(*faces(100, seed=seed), {})
        low, high = intervals(fitted, new, 0.9).T
        inside = (low <= truth) & (truth <= high)
        covered.append([inside[new.age < 17.5].mean(), inside[new.age > 17.5].mean()])
    assert np.all(np.abs(np.mean(covered, axis=0) - (1 - 2 * 2 / 51)) < 0.015)  # of 50 errors, the 2nd from either end


def test_ages_are_never_negative_and_distributions_are_in_order() -> None:
    points, ages = Point(np.linspace(0.5, 3, 60)), np.abs(np.random.default_rng(0).normal(2, 2, 60))
    calibrated = Conformal().fit(points, ages, {})(points, {})
    assert calibrated.quantile(0.01).min() == 0
    assert (np.diff(calibrated.ages, axis=1) >= 0).all()


def test_what_is_saved_is_what_was_fitted() -> None:
    points, ages = faces(300)
    gender = np.array(["female", "male"] * 150, dtype=object)
    fitted = Conformal(columns=("gender",)).fit(points, ages, {"gender": gender})
    again = from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    assert np.array_equal(again(points, {"gender": gender}).ages, fitted(points, {"gender": gender}).ages)


@pytest.mark.parametrize(
    ("where", "value"),
    [("level", 0.5), ("levels", [0.5]), ("columns", ["gender"]), ("scale", "years"), ("kind", "isotonic")],
)
def test_what_was_not_saved_so_is_refused(where: str, value: object) -> None:
    plain = Conformal(columns=("source",)).fit(*faces(80), {"source": np.array(["a"] * 80, dtype=object)}).to_json()
    group = {**plain["everyone"], "counts": [80, 1]}
    from_json(plain)
    changed = {**plain, where: value} if where != "columns" else {**plain, where: [*plain["columns"], *value]}  # type: ignore[misc]
    for wrong in (changed, {**plain, "everyone": group}, {**plain, "more": 1}, [], None):
        with pytest.raises(ValueError, match="validation error"):
            from_json(wrong)


def test_points_have_no_spread_to_scale_by() -> None:
    with pytest.raises(UserError, match=r"calibrate\.scale=spread: .*without a spread"):
        Conformal(scale="spread").fit(*faces(50), {})

"""What an evaluation says of predictions, on a terminal and in files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vec2uage.base.csv_file import read_csv
from vec2uage.data.vectorset import VectorSet, make_vector_set
from vec2uage.evaluation.judgement import judge
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point


def faces(per_age: int = 24, last: int = 22) -> VectorSet:
    """Return rows of the ages 13 on, whose gender and source are known of some."""
    ages = np.repeat(np.arange(13, last + 1), per_age).astype(np.float32)
    n = len(ages)
    vectors = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    vs = make_vector_set(vectors, ages, [f"face{row}" for row in range(n)])
    gender = np.where(np.arange(n) % 3 == 0, "female", "male").astype(object)
    gender[:5] = ""
    return replace(vs, gender=gender)


def normal(vs: VectorSet, scale: float = 2.0) -> Normal:
    errors = np.random.default_rng(1).normal(0, 2, len(vs))
    return Normal(vs.ages + errors, np.full(len(vs), scale))


def test_every_group_has_its_own_errors_and_count() -> None:
    vs = faces()
    prediction = normal(vs)
    found = {(group.column, group.value): group for group in judge(vs, prediction, [1.0]).groups}
    female = vs.gender == "female"
    errors = np.abs(prediction.location - vs.ages)
    inside = errors <= 1.6448536269514722 * 2
    assert found["gender", "female"].faces == female.sum()
    assert found["gender", "female"].mae.estimate == pytest.approx(errors[female].mean())
    assert found["age", "15"].coverage_90.estimate == pytest.approx(inside[vs.ages == 15].mean())
    assert found["gender", "unknown"].is_small
    assert ("source", "") not in found, "a column in which all are alike tells nothing"


def test_tables_and_figures_are_written(tmp_path: Path) -> None:
    vs = faces()
    judgement = judge(vs, normal(vs), [1.0, 5.0])
    judgement.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "operating.csv",
        "by_column.csv",
        "reliability.csv",
        "predictions.png",
        "operating.png",
        "uncertainty.png",
    }
    rows = list(read_csv(tmp_path / "operating.csv"))
    of_17 = next(row for row in rows if row["ages"] == "17" and row["threshold"] == "18")
    expected = (normal(vs).location[vs.ages == 17] > 17.5).mean()
    assert of_17["taken_for"] == "T or older"
    assert float(of_17["rate"]) == pytest.approx(expected)
    assert float(of_17["low"]) <= expected <= float(of_17["high"])


def test_the_same_rows_give_the_same_bounds() -> None:
    vs = faces()
    one, other = (judge(vs, normal(vs), [1.0]) for _ in range(2))
    assert one.operating == other.operating
    assert repr(one.groups) == repr(other.groups)  # bounds may be NaN


def test_points_have_no_intervals_and_say_so(tmp_path: Path) -> None:
    vs = faces()
    judgement = judge(vs, Point(normal(vs).location), [1.0])
    for name in ("uncertainty.png", "reliability.csv"):
        (tmp_path / name).write_text("of an evaluation of distributions before")
    judgement.write(tmp_path)
    assert not (tmp_path / "uncertainty.png").exists()
    assert not (tmp_path / "reliability.csv").exists()
    assert "no intervals" in judgement.text()
    assert all(group.coverage_90 is None for group in judgement.groups)
    assert judgement.to_json()["fixed_errors"] is None


def test_errors_at_fixed_rates_are_those_of_a_count_by_hand() -> None:
    vs = faces(per_age=40)
    prediction = normal(vs)
    told = next(e for e in judge(vs, prediction, [1.0]).to_json()["fixed_errors"] if "minors_missed_at_most" in e)
    p, minor = prediction.cdf(17.5), vs.ages < 18
    flagged = p >= told["threshold"]
    assert (~flagged[minor]).mean() <= told["minors_missed_at_most"]
    assert flagged[~minor].mean() == pytest.approx(told["adults_flagged"])


def test_minors_alone_have_no_reliability_of_being_minors(tmp_path: Path) -> None:
    vs = faces(last=17)
    judgement = judge(vs, normal(vs), [1.0])
    judgement.write(tmp_path)
    assert judgement.reliability is None
    assert (tmp_path / "uncertainty.png").exists()
    assert not (tmp_path / "reliability.csv").exists()


def test_few_faces_are_marked_and_nothing_else_is() -> None:
    few, enough = (judge(faces(per_age=n), normal(faces(per_age=n)), [1.0]).text() for n in (6, 24))
    assert "fewer than 20" in few
    assert "T or older            17     24" in enough
    assert not any(line.endswith("*") for line in enough.splitlines() if "older" in line)

"""A run folder: what is written in it, and when it may be used again."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Discrete
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.metrics_log import MetricsLog, metrics_digest
from vec2uage.runs.result import RunResult

WRITTEN = (
    "result.json",
    "metrics.csv",
    "best.safetensors",
    "predictions.csv",
    "config.yaml",
    "overrides.yaml",
    "checkpoint.safetensors",
    "lr_range_test.csv",
    "lr_range_test.png",
    "events.out.tfevents.1.host.2.3",
)


@pytest.fixture
def used(tmp_path: Path) -> RunFolder:
    """A folder with everything a run writes, and two files it does not write."""
    for name in (*WRITTEN, "notes.txt", ".hydra/config.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("of the first run")
    return RunFolder(tmp_path)


def _left(folder: RunFolder) -> set[str]:
    return {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}


def test_clearing_deletes_what_a_run_writes_and_nothing_else(used: RunFolder) -> None:
    used.clear()
    assert _left(used) == {"notes.txt", ".hydra/config.yaml"}


def test_clearing_the_end_leaves_what_a_run_goes_on_from(used: RunFolder) -> None:
    used.clear_end()
    gone = {"result.json", "best.safetensors", "predictions.csv", "lr_range_test.csv", "lr_range_test.png"}
    assert _left(used) == {*WRITTEN, "notes.txt", ".hydra/config.yaml"} - gone


def test_a_folder_in_use_is_left_alone(used: RunFolder) -> None:
    used.check_free()
    with MetricsLog(used.metrics):
        with pytest.raises(Busy, match="another command is writing to it"):
            used.check_free()
        with pytest.raises(Busy, match="another command"):
            MetricsLog(used.metrics)
    used.metrics.unlink()  # as of a model without epochs
    with used.occupy():
        with pytest.raises(Busy, match="another command"):
            used.check_free()
        with pytest.raises(Busy, match="another command"):
            used.occupy()
    used.check_free()
    assert used.config.read_text() == "of the first run"


SCORES = {"train/loss": 1.0, "validation/loss": 2.0, "train/mae": 3.0, "validation/mae": 4.0}


@pytest.mark.parametrize("left", ["whole", "a row more", "half a row more"])
def test_a_log_goes_on_after_the_epochs_that_count(tmp_path: Path, left: str) -> None:
    path = tmp_path / "metrics.csv"
    with MetricsLog(path) as log:
        for epoch in range(2):
            log.append(epoch, 0.1, SCORES)
    whole, before = path.read_text(), metrics_digest(path, 2)
    path.write_text(whole + {"whole": "", "a row more": "2,0.1,9,9,9,9\n"}.get(left, "2,0.1,9"))
    assert metrics_digest(path, 2) == before != metrics_digest(path, 1)
    with MetricsLog(path, epochs=2) as log:
        log.append(2, 0.1, SCORES)
    assert path.read_text() == whole + whole.splitlines()[-1].replace("1,", "2,", 1) + "\n"


def test_a_folder_without_result_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        RunFolder(tmp_path).read_result()


numbers = st.floats() | st.floats(width=32)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=5))
def test_metrics_read_back_exactly_but_for_those_that_are_no_number(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, ...]]
) -> None:
    path = RunFolder(tmp_path_factory.mktemp("run")).metrics
    for epoch, (lr, *scores) in enumerate(rows):  # a new log each time, as after a resumption
        with MetricsLog(path, epochs=epoch) as log:
            log.append(epoch, np.float64(lr), dict(zip(SCORES, map(np.float64, scores), strict=True)))
    if rows:
        assert path.read_text().count("epoch") == 1
        read = [[float(row[column] or "nan") for column in ("lr", *SCORES)] for row in read_csv(path)]
        expected = [[lr, *(score if np.isfinite(score) else np.nan for score in scores)] for lr, *scores in rows]
        np.testing.assert_array_equal(read, expected)


def test_an_epoch_is_on_disk_before_the_log_is_closed(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.csv") as log:
        log.append(1, 0.1, {"train/loss": 9.0, "test/any": 2.25})
        assert (tmp_path / "metrics.csv").read_text() == "epoch,lr,train/loss,test/any\n1,0.1,9.0,2.25\n"


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
            st.floats(0, 120, width=32),
            st.floats(width=32, allow_nan=False),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_predictions_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, float]]
) -> None:
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    names, ages, predictions = zip(*rows, strict=True)
    folder.write_predictions(
        names, [""] * len(rows), np.array(ages, np.float32), Point(np.array(predictions, np.float32))
    )
    read = read_csv(folder.predictions)
    assert list(read[0]) == ["name", "subject", "age", "prediction"]
    assert [(row["name"], float(np.float32(row["age"])), float(np.float32(row["prediction"]))) for row in read] == rows


def test_predictions_are_short_to_read_and_in_columns_of_their_own(tmp_path: Path) -> None:
    folder, names = RunFolder(tmp_path), np.array(["a,b", "c"], dtype=object)
    ages, predicted = np.array([4.2, 11], np.float32), np.array([5.1, 10.7], np.float32)
    folder.write_predictions(names, ["p", ""], ages, Point(predicted))
    lines = folder.predictions.read_text().splitlines()
    assert lines == ["name,subject,age,prediction", '"a,b",p,4.2,5.1', "c,,11.0,10.7"]
    for prediction in (Normal(predicted, predicted / 2), Discrete(np.array([5.0, 9.0]), np.full((2, 2), 0.5))):
        folder.write_predictions(names, ["p", ""], ages, prediction)
        row = read_csv(folder.predictions)[0]
        assert list(row) == ["name", "subject", "age", *prediction.columns(), "pit", "crps", "p_minor"]
        assert float(row["p_minor"]) == pytest.approx(prediction.cdf(17.99999)[0])


def test_a_result_tells_what_was_written_and_what_has_changed_since(used: RunFolder) -> None:
    result = RunResult(status="completed", name="r", seed=0, optimizer=None, model="ridge", dataset="d")
    used.write_result(result)
    told = set(WRITTEN) - {"result.json", "checkpoint.safetensors", WRITTEN[-1]}
    assert result.files.keys() == told
    assert used.read_result() == result
    assert result.files["predictions.csv"] == hashlib.sha256(b"of the first run").hexdigest()
    used.predictions.write_text("of somebody else")
    assert not used.is_as_written(used.predictions, result)
    assert used.is_as_written(used.metrics, result)
    used.model.unlink()
    assert used.changed_files(result) == ["best.safetensors", "predictions.csv"]

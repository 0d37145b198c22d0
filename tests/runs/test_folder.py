"""A run folder: what is written in it, and when it may be used again."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy
from vec2uage.runs.folder import MetricsLog, RunFolder

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


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


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
    used.check_free()


@pytest.mark.parametrize("end", ["", "3,0.1,9.0,8", "3,0.1,9.0,8.0,7.0,6.0\n4,0.1,"])
def test_a_log_goes_on_after_the_rows_that_count(tmp_path: Path, end: str) -> None:
    path = tmp_path / "metrics.csv"
    numbers = {"lr": 0.1, "train_loss": 1.0, "val_loss": 2.0, "train_mae": 3.0, "val_mae": 4.0}
    with MetricsLog(path) as log:
        for epoch in range(3):
            log.append(epoch=epoch, **numbers)
    whole = path.read_text()
    path.write_text(whole + end)
    with MetricsLog(path, rows=2) as log:
        log.append(epoch=2, **numbers)
    assert path.read_text() == whole


def test_a_log_whose_last_line_has_no_end_goes_on_below_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    numbers = {"lr": 0.1, "train_loss": 1.0, "val_loss": 2.0, "train_mae": 3.0, "val_mae": 4.0}
    with MetricsLog(path) as log:
        log.append(epoch=0, **numbers)
    path.write_text(path.read_text().rstrip("\n"))
    with MetricsLog(path, rows=1) as log:
        log.append(epoch=1, **numbers)
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "1"]


def test_a_folder_without_result_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        RunFolder(tmp_path).read_result()


numbers = st.floats() | st.floats(width=32)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=5))
def test_metrics_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, ...]]) -> None:
    path = RunFolder(tmp_path_factory.mktemp("run")).metrics
    columns = ("lr", "train_loss", "val_loss", "train_mae", "val_mae")
    for epoch, row in enumerate(rows):  # a new log each time, as after a resumption
        with MetricsLog(path, rows=epoch) as log:
            log.append(epoch=epoch, **dict(zip(columns, map(np.float64, row), strict=True)))
    if rows:
        assert path.read_text().count("epoch") == 1
        read = [[float(row[column]) for column in columns] for row in _rows(path)]
        np.testing.assert_array_equal(read, rows)


def test_an_epoch_is_on_disk_before_the_log_is_closed(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.csv") as log:
        log.append(epoch=1, lr=0.1, train_loss=9.0, val_loss=8.5, train_mae=3.0, val_mae=2.25)
        assert (tmp_path / "metrics.csv").read_text() == (
            "epoch,lr,train_loss,val_loss,train_mae,val_mae\n1,0.1,9.0,8.5,3.0,2.25\n"
        )


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
    folder.write_predictions(names, [""] * len(rows), np.array(ages, np.float32), np.array(predictions, np.float32))
    read = _rows(folder.predictions)
    assert list(read[0]) == ["name", "subject", "age", "prediction"]
    assert [(row["name"], float(np.float32(row["age"])), float(np.float32(row["prediction"]))) for row in read] == rows


def test_predictions_are_short_to_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    names = np.array(["a,b", "c"], dtype=object)
    folder.write_predictions(names, ["p", ""], np.array([4.2, 11], np.float32), np.array([5.1, 10.7], np.float32))
    assert folder.predictions.read_text().splitlines() == [
        "name,subject,age,prediction",
        '"a,b",p,4.2,5.1',
        "c,,11.0,10.7",
    ]

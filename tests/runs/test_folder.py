"""A run folder: what is written in it, and when it may be used again."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.runs.folder import MetricsLog, RunFolder, claim
from vec2uage.runs.result import RunResult, Status

WRITTEN = (
    "result.json",
    "metrics.csv",
    "best.safetensors",
    "predictions.csv",
    "config.yaml",
    "lr_range_test.csv",
    "lr_range_test.png",
    "events.out.tfevents.1.host.2.3",
)


def _result(status: Status, **values: Any) -> RunResult:
    labels = {"name": "0", "seed": 0, "optimizer": "sgd", "model": "vec2uage", "dataset": "synthetic"}
    return RunResult(status=status, **(labels | {"config_hash": "c1", "code": "k1"} | values))


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


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    assert claim(tmp_path / "a" / "b", "c1", "k1", overwrite=False) is None
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("status", ["completed", "diverged"])
def test_a_finished_run_is_returned_and_kept(used: RunFolder, status: Status) -> None:
    used.write_result(_result(status, val_mae=2.5))
    assert claim(used.path, "c1", "k1", overwrite=False) == _result(status, val_mae=2.5)
    assert _left(used) == {*WRITTEN, "notes.txt", ".hydra/config.yaml"}


@pytest.mark.parametrize("status", ["failed", "interrupted", None])
def test_an_unfinished_run_gives_way_but_other_files_stay(used: RunFolder, status: Status | None) -> None:
    if status is None:
        used.result.unlink()
    else:
        used.write_result(_result(status))
    assert claim(used.path, "c1", "k1", overwrite=False) is None
    assert _left(used) == {"notes.txt", ".hydra/config.yaml"}


@pytest.mark.parametrize(
    ("config_hash", "code", "complaint"),
    [
        ("c2", "k1", "different config; overwrite=true"),
        ("c1", "k2", "different code; overwrite=true"),
        ("c2", "k2", "different config and code; overwrite=true"),
    ],
)
def test_a_finished_run_of_something_else_is_protected(
    used: RunFolder, config_hash: str, code: str, complaint: str
) -> None:
    used.write_result(_result("completed"))
    with pytest.raises(UserError, match=complaint):
        claim(used.path, config_hash, code, overwrite=False)
    assert _left(used) == {*WRITTEN, "notes.txt", ".hydra/config.yaml"}
    assert claim(used.path, config_hash, code, overwrite=True) is None
    assert _left(used) == {"notes.txt", ".hydra/config.yaml"}


def test_a_damaged_result_is_not_thrown_away_unasked(used: RunFolder) -> None:
    with pytest.raises(UserError, match=r"result\.json.*no valid result.*overwrite=true"):
        claim(used.path, "c1", "k1", overwrite=False)
    assert used.result.read_text() == "of the first run"
    assert claim(used.path, "c1", "k1", overwrite=True) is None


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_the_way_is_the_users_mistake(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file is in the way"):
        claim(tmp_path / "file" / below, "c1", "k1", overwrite=False)


def test_a_folder_without_result_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        RunFolder(tmp_path).read_result()


numbers = st.floats() | st.floats(width=32)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=5))
def test_metrics_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, ...]]) -> None:
    path = RunFolder(tmp_path_factory.mktemp("run")).metrics
    columns = ("lr", "train_loss", "val_loss", "train_mae", "val_mae")
    for epoch, row in enumerate(rows):  # a new log each time, as after a resumption
        with MetricsLog(path) as log:
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

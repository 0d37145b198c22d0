"""Many run folders as one table."""

import csv
from pathlib import Path

import pytest

from vec2uage.base.errors import UserError
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import _SCALARS, collect, write_sweep, write_table
from vec2uage.runs.result import RunResult


def _write(folder: Path, seed: int, val_mae: float | None = None) -> RunResult:
    result = RunResult(
        status="completed",
        name=folder.name,
        seed=seed,
        optimizer="sgd",
        model="m",
        dataset="d",
        val_mae=val_mae,
    )
    RunFolder(folder).write_result(result)
    return result


def test_runs_come_in_the_order_of_their_numbers_at_any_depth(tmp_path: Path) -> None:
    written = [_write(tmp_path / "sweep" / f"{seed}_sgd", seed) for seed in (10, 2, 1)]
    alone = _write(tmp_path / "alone", 0)
    (tmp_path / "sweep" / "unfinished").mkdir()
    results, rejects = collect(tmp_path)
    assert list(results.values()) == [alone, *reversed(written)]
    assert list(results)[:2] == [tmp_path / "alone", tmp_path / "sweep" / "1_sgd"]
    assert rejects == {}


def test_a_run_that_only_the_sweeps_file_knows_is_told(tmp_path: Path) -> None:
    runs = [_write(tmp_path / f"{seed}_sgd", seed) for seed in (1, 2)]
    write_sweep(runs, tmp_path)
    RunFolder(tmp_path / "2_sgd").result.unlink()
    results, rejects = collect(tmp_path)
    assert list(results.values()) == runs[:1]
    assert "missing, though sweep.json has this run as completed" in rejects[tmp_path / "2_sgd"]


def test_a_run_that_lies_deeper_than_the_sweeps_file_is_not_missing(tmp_path: Path) -> None:
    write_sweep([_write(tmp_path / "deep" / "1_sgd", 1)], tmp_path)
    assert collect(tmp_path)[1] == {}


def test_the_root_may_be_a_run_itself(tmp_path: Path) -> None:
    result = _write(tmp_path, 3)
    assert collect(tmp_path) == ({tmp_path: result}, {})


def test_a_damaged_run_is_rejected_with_its_reason(tmp_path: Path) -> None:
    good = _write(tmp_path / "1", 1)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "result.json").write_text('{"status": "comp')
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "result.json").write_bytes(b"\xff\xfe\x00")
    results, rejects = collect(tmp_path)
    assert list(results.values()) == [good]
    assert list(rejects) == [tmp_path / "2", tmp_path / "3"]
    assert "no valid result" in rejects[tmp_path / "2"]
    assert "unreadable" in rejects[tmp_path / "3"]


def test_no_folder_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a folder"):
        collect(tmp_path / "nowhere")


def test_the_table_holds_every_number_exactly(tmp_path: Path) -> None:
    results = [_write(tmp_path / "1", 1, val_mae=0.1 + 0.2), _write(tmp_path / "2", 2)]
    write_table(results, tmp_path / "sweep.csv")
    with (tmp_path / "sweep.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["seed"] for row in rows] == ["1", "2"]
    assert float(rows[0]["val_mae"]) == 0.1 + 0.2
    assert rows[1]["val_mae"] == ""
    assert "provenance" not in rows[0]
    assert "overrides" not in rows[0]


def test_swept_options_have_columns_of_their_own(tmp_path: Path) -> None:
    results = []
    for number, momentum in enumerate(("0", "0.9")):
        result = _write(tmp_path / str(number), number)
        result.overrides = ["dataset=vectors", f"optimizer.momentum={momentum}", f"seed={number}"]
        results.append(result)
    write_table(results, tmp_path / "sweep.csv")
    with (tmp_path / "sweep.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["optimizer.momentum"] for row in rows] == ["0", "0.9"]
    assert rows[0].keys() == {*_SCALARS, "optimizer.momentum"}

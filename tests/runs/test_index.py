"""Many run folders as one table."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from vec2uage.base.errors import UserError
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import _SCALARS, collect, repeats, write_sweep, write_table
from vec2uage.runs.result import RunResult
from vec2uage.runs.variants import stated_options


def _result(name: str, seed: int, **known: Any) -> RunResult:
    made = {"status": "completed", "optimizer": "sgd", "model": "m", "dataset": "d"} | known
    return RunResult(name=name, seed=seed, **made)


def _write(folder: Path, seed: int, **known: Any) -> RunResult:
    RunFolder(folder).write_result(result := _result(folder.name, seed, **known))
    return result


def test_runs_come_in_the_order_of_their_numbers_at_any_depth(tmp_path: Path) -> None:
    written = [_write(tmp_path / "sweep" / f"{seed}_sgd", seed) for seed in (10, 2, 1)]
    alone = _write(tmp_path / "alone", 0)
    (tmp_path / "sweep" / "unfinished").mkdir()
    results, rejects = collect(tmp_path)
    assert [result.seed for result in results.values()] == [0, 1, 2, 10]
    assert list(results.values())[1] == replace(written[-1], name="sweep/1_sgd"), "named by where it lies"
    assert list(results)[:2] == [tmp_path / "alone", tmp_path / "sweep" / "1_sgd"]
    assert rejects == {}
    assert collect(tmp_path / "alone") == ({tmp_path / "alone": alone}, {})


def test_a_run_that_only_the_sweeps_file_knows_is_told(tmp_path: Path) -> None:
    runs = [_write(tmp_path / f"{seed}_sgd", seed) for seed in (1, 2)]
    begun = [_result(f"{seed}_sgd", seed, status=status) for seed, status in ((3, "running"), (4, "pending"))]
    write_sweep([*runs, *begun], tmp_path)
    RunFolder(tmp_path / "2_sgd").result.unlink()
    results, rejects = collect(tmp_path)
    assert list(results.values()) == [runs[0], *begun]
    assert "missing, though sweep.json has this run as completed" in rejects[tmp_path / "2_sgd"]


def test_a_run_that_was_moved_within_the_sweep_is_not_missing(tmp_path: Path) -> None:
    write_sweep([_write(tmp_path / "1_sgd", 1)], tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "1_sgd").rename(tmp_path / "deep" / "1_sgd")
    assert collect(tmp_path)[1] == {}


def test_runs_whose_folders_end_alike_are_told_apart(tmp_path: Path) -> None:
    for optimizer in ("sgd", "swa"):
        _write(tmp_path / optimizer / "1", 1, optimizer=optimizer)
    pending = _result("adam/1", 1, status="pending")
    write_sweep([*collect(tmp_path)[0].values(), pending], tmp_path)
    results, rejects = collect(tmp_path)
    assert [(result.name, result.status) for result in results.values()] == [
        ("adam/1", "pending"),
        ("sgd/1", "completed"),
        ("swa/1", "completed"),
    ]
    assert rejects == {}
    write_sweep([*results.values(), _result("/etc/1", 1)], tmp_path)
    assert collect(tmp_path) == (results, {}), "a file of somebody else's"
    RunFolder(tmp_path / "swa" / "1").result.unlink()
    assert list(collect(tmp_path)[1]) == [tmp_path / "swa" / "1"]


@pytest.mark.parametrize("content", [b"", b'{"runs": [{"sta', b"\xff\x00"])
def test_a_damaged_file_of_the_sweep_is_told_and_hides_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    good = _write(tmp_path / "1", 1)
    (tmp_path / "sweep.json").write_bytes(content)
    assert collect(tmp_path) == ({tmp_path / "1": good}, {}), "it is no run"
    assert str(tmp_path / "sweep.json") in caplog.text


def test_a_run_that_cannot_be_read_is_rejected_with_its_reason(tmp_path: Path) -> None:
    good = _write(tmp_path / "1", 1)
    old = {key: value for key, value in asdict(good).items() if key != "scores"} | {"test_mae": 2.5}
    contents = {"2": b'{"status": "comp', "3": b"\xff\xfe\x00", "4": json.dumps(old).encode()}
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_bytes(content)
    results, rejects = collect(tmp_path)
    assert list(results.values()) == [good]
    for name, reason in {"2": "no valid result", "3": "unreadable", "4": "earlier version"}.items():
        assert reason in rejects[tmp_path / name]
        assert "\n" not in rejects[tmp_path / name]


def test_no_folder_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a folder"):
        collect(tmp_path / "nowhere")


def _table(results: Sequence[RunResult], folder: Path) -> list[dict[str, str]]:
    write_table(results, list(map(stated_options, results)), folder / "sweep.csv")
    with (folder / "sweep.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_table_holds_every_number_exactly_and_what_does_not_exist_is_empty(tmp_path: Path) -> None:
    ridge = _result("2", 2, optimizer=None, model="ridge", scores={"test/mae": 2.0, "test/any_metric": 7.0})
    rows = _table([_result("1", 1, lr=0.1, scores={"validation/mae": 0.1 + 0.2}), ridge], tmp_path)
    assert [(row["name"], row["optimizer"], row["model"], row["lr"]) for row in rows] == [
        ("1", "sgd", "m", "0.1"),
        ("2", "", "ridge", ""),
    ]
    assert float(rows[0]["validation/mae"]) == 0.1 + 0.2
    assert (rows[1]["validation/mae"], rows[1]["test/any_metric"]) == ("", "7.0")
    assert rows[0].keys().isdisjoint({"provenance", "overrides", "choices", "files"})


def test_swept_options_have_columns_of_their_own(tmp_path: Path) -> None:
    options = [["dataset=vectors", f"optimizer.momentum={m}", "trainer.threads=1"] for m in ("0", "0.9")]
    rows = _table([_result(str(k), k, overrides=overrides) for k, overrides in enumerate(options)], tmp_path)
    assert [row["optimizer.momentum"] for row in rows] == ["0", "0.9"]
    assert rows[0].keys() == {*_SCALARS, "repeats", "optimizer.momentum"}


def test_seeds_of_a_model_that_draws_nothing_repeat_its_first_run(tmp_path: Path) -> None:
    def ridge(name: str, seed: int, predictions: str, *overrides: str, **known: Any) -> RunResult:
        made = {"optimizer": None, "config_hash": name, "data_fingerprint": "d", "code": "c"}
        made["files"] = {"predictions.csv": predictions}
        return _result(name, seed, overrides=[f"seed={seed}", *overrides], **(made | known))

    runs = [
        ridge("first", 1, "a"),
        ridge("again", 2, "a"),
        ridge("forest", 3, "b"),
        ridge("stricter", 1, "a", "model.alpha=9"),
        ridge("of other data", 4, "a", data_fingerprint="e"),
        ridge("network", 5, "a", optimizer="sgd"),
        ridge("unknown", 6, "a", files={}),
    ]
    assert repeats(runs, [stated_options(run) for run in runs]) == {1: 0}
    assert [row["repeats"] for row in _table(runs, tmp_path)] == ["", "first", *[""] * 5]

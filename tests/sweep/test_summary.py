"""The end of a sweep, as it is read: one line per optimiser, or per combination of what was swept."""

import csv
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult, Status
from vec2uage.runs.variants import stated_options
from vec2uage.sweep import summary


def result(
    number: int, optimizer: str, test_mae: float | None, *overrides: str, status: Status = "completed"
) -> RunResult:
    shifts = {"train": -1, "validation": 0.5, "test": 0}
    scores = {} if test_mae is None else {f"{part}/mae": test_mae + shift for part, shift in shifts.items()}
    return RunResult(
        status=status,
        reason=None if status == "completed" else "the loss was no longer finite",
        name=f"{number:03d}",
        seed=number,
        optimizer=optimizer,
        model="vec2uage",
        dataset="vectors",
        overrides=[f"optimizer={optimizer}", f"seed={number}", *overrides],
        scores=scores,
    )


def table(runs: Sequence[RunResult]) -> str:
    return summary.table(runs, list(map(stated_options, runs)))


def report(runs: Sequence[RunResult], folder: str) -> str:
    return summary.report(runs, list(map(stated_options, runs)), folder)


def test_a_line_per_optimizer_holds_minimum_mean_and_deviation() -> None:
    tests = {"sgd": [2.5, 2.1, 2.9], "swa": [2.0, 2.25]}
    runs = [result(n, name, mae) for name, maes in tests.items() for n, mae in enumerate(maes)]
    lines = {line.split()[0]: line.split()[1:] for line in table(runs).splitlines()[2:]}
    for name, maes in tests.items():
        expected = [
            f"{f:.3f}"
            for shift in (-1, 0.5, 0)
            for f in (min(maes) + shift, np.mean(maes) + shift, np.std(maes, ddof=1))
        ]
        assert lines[name] == [str(len(maes)), *expected]


def test_other_swept_options_have_a_line_for_each_combination() -> None:
    runs = [result(n, "sgd", 2.0 + n, f"optimizer.momentum={m}") for n, m in enumerate(("0", "0.9", "0", "0.9"))]
    labels = [line.split("  ")[0] for line in table(runs).splitlines()[2:]]
    assert labels == ["sgd optimizer.momentum=0", "sgd optimizer.momentum=0.9"]


def test_an_option_that_was_not_set_stands_with_the_value_that_it_had(tmp_path, capsys) -> None:
    for number, (momentum, set_) in enumerate({0.0: [], 0.9: ["optimizer.momentum=0.90"]}.items()):
        for seed in (1, 2):
            folder = RunFolder(tmp_path / f"{number}{seed}")
            folder.path.mkdir()
            folder.config.write_text(f"optimizer: {{momentum: {momentum}}}")
            of_run = replace(result(seed, "sgd", 2.0 + seed, *set_), name=folder.path.name)
            folder.write_result(of_run)
    summary.summarize(tmp_path, {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in printed[2:4]] == [
        ["sgd", "optimizer.momentum=0", "2"],
        ["sgd", "optimizer.momentum=0.9", "2"],
    ]
    with (tmp_path / "sweep.csv").open(newline="") as stream:
        assert [row["optimizer.momentum"] for row in csv.DictReader(stream)] == ["0", "0", "0.9", "0.9"]


def test_an_error_that_is_no_number_is_named_and_not_averaged() -> None:
    runs = [result(n, "sgd", mae) for n, mae in enumerate((2.5, 1e39, float("nan"), float("inf"), -10.0))]
    text = report(runs, "sweep")
    assert text.splitlines()[2].split()[:4] == ["sgd", "1", "1.500", "1.500"]
    assert text.count("no number of years") == 4


def test_long_names_lose_what_all_share_and_numbered_ones_are_explained() -> None:
    paths = [f"dataset.path=/data/prepared/of/the/{name}" for name in ("first", "second")]
    shown = table([result(n, "sgd", 2.0, path) for n, path in enumerate(paths)])
    assert [line.split("  ")[0] for line in shown.splitlines()[2:]] == ["sgd path=first", "sgd path=second"]
    long = [f"dataset.path={letter * 100}" for letter in "ab"]
    lines = table([result(n, "sgd", 2.0, path) for n, path in enumerate(long)]).splitlines()[2:]
    assert [line.split("  ")[0] for line in lines[:2]] == ["sgd 1", "sgd 2"]
    assert lines[2:] == [f"sgd {n} is sgd {path}" for n, path in enumerate(long, 1)]


def test_neither_seeds_of_any_kind_nor_what_changes_no_number_set_runs_apart() -> None:
    runs = [result(n, "sgd", 2.0, f"split.seed={n}", f"trainer.threads={n}", "resume=changed") for n in (1, 2)]
    assert table(runs).splitlines()[2].split()[:2] == ["sgd", "2"]


def test_the_best_is_chosen_by_validation_among_those_that_completed() -> None:
    runs = [result(0, "sgd", 2.5), result(1, "sgd", 2.4), result(2, "sgd", 1.0, status="diverged")]
    assert "best by validation: 001 (mae 2.900 validation, 2.400 test)" in report(runs, "sweep")


def test_the_end_of_a_search_shows_no_test_errors() -> None:
    runs = [result(0, "sgd", 2.5), result(1, "swa", 2.4)]
    text = summary.report(runs, list(map(stated_options, runs)), "sweep", is_search=True)
    assert "validation" in text
    assert "test" not in text


def test_means_are_over_the_runs_that_completed() -> None:
    others = [result(1, "sgd", 60.0, status="diverged"), result(2, "sgd", 60.0, status="interrupted")]
    text = report([result(0, "sgd", 2.5), *others], "sweep")
    assert text.splitlines()[2].split()[:2] == ["sgd", "1"]
    assert "60" not in text


def test_a_run_that_repeats_another_counts_once() -> None:
    made = {"config_hash": "h", "data_fingerprint": "d", "code": "c"}
    first, again = (replace(result(n, "sgd", 2.5), **made) for n in (0, 1))
    other, unknown = replace(again, code="d", scores=again.scores | {"test/mae": 3.5}), result(3, "sgd", 2.5)
    text = report([first, again, other, unknown], "sweep")
    assert text.splitlines()[2].split()[:2] == ["sgd", "3"]
    assert "1 run left out as repeated" in text
    assert "001 is 000 once more" in text
    assert "did not complete" not in text


def test_what_did_not_complete_is_named_with_its_reason() -> None:
    text = report([result(0, "sgd", 2.5), result(1, "sgd", None, status="failed")], "sweep")
    assert "1 of 2 runs did not complete:\n  001: failed, the loss was no longer finite" in text


def test_runs_that_ended_alike_have_one_line() -> None:
    failed = [result(number, "sgd", None, status="failed") for number in range(1, 6)]
    diverged = replace(result(6, "sgd", None, status="diverged"), reason="in epoch 3")
    text = report([result(0, "sgd", 2.5), *failed, diverged], "sweep")
    assert "6 of 7 runs did not complete:" in text
    assert "  001, 002, 003 and 2 more: failed, the loss was no longer finite\n  006: diverged, in epoch 3\n" in text


def test_a_sweep_without_any_figure_has_no_table() -> None:
    assert "MAE in years" not in report([result(0, "sgd", None, status="failed")], "sweep")

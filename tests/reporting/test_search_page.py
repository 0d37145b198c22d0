"""The page on a search: what was chosen and how, and no test error but that of the chosen trial."""

import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import write_run
from vec2uage.base.errors import UserError
from vec2uage.reporting.analysis import analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.content import Report
from vec2uage.reporting.report_settings import ReportSettings
from vec2uage.reporting.run import write
from vec2uage.reporting.searched import Searched, at_ends
from vec2uage.runs.search_record import Numbers, SearchRecord, TrialRecord


def _test_mae(number: int) -> float:
    """The test MAE of a trial."""
    return 3.1007 + number / 100


def trial(number: int) -> dict[str, Any]:
    validation, is_diverged = 2 + abs(number - 4) / 10, number == 13
    return {
        "number": number,
        "status": "diverged" if is_diverged else "completed",
        "options": {"optimizer.lr": 10 ** -(4 * number / 13), "model.hidden": ("[8]", "[64,32]")[number % 2]},
        "scores": {} if is_diverged else {"validation/mae": validation, "validation/rmse": 5 - validation},
        "runs": [f"{number:03d}_{k}" for k in range(3)],
        "at_epochs": {5: validation + 1, 10: validation},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of 14 trials of three splits: the fifth is the best, the last diverged; of three the runs are there."""
    folder = tmp_path_factory.mktemp("searches") / "found"
    for number in (4, 5, 12):
        of_trial = trial(number)
        options = [f"{key}={value}" for key, value in of_trial["options"].items()]
        for k, name in enumerate(of_trial["runs"]):
            mae = of_trial["scores"]["validation/mae"], _test_mae(number) + (k - 1) / 1e4
            write_run(folder / name, "sgd", 1, *mae, [f"split.seed={k}", *options], f"face {k}")
    return folder


@pytest.fixture
def record(folder: Path) -> Callable[..., Path]:
    """Write search.json, with other entries if given."""

    def write(**changed: object) -> Path:
        found = {
            "command": "python -m vec2uage.train -m 'split.seed=range(3)'",
            "objective": ["validation/mae"],
            "space": {
                "optimizer.lr": {"low": 1e-4, "high": 1.0, "log": True},
                "model.hidden": {"choices": ["[8]", "[64,32]"]},
            },
            "best": [4],
            "trials": list(map(trial, range(14))),
        }
        (folder / "search.json").write_text(json.dumps(found | changed))
        return folder

    return write


def composed(folder: Path) -> Report:
    return compose([analyse(read_sweep(folder), 0, 100)], 0, 100)


def test_the_chosen_trial_is_told_with_its_test_error_and_those_of_others_are_not(
    record: Callable[..., Path], tmp_path: Path
) -> None:
    write(ReportSettings((str(record()),), None, ("svg",), 100, 0, False), tmp_path)
    page = html.unescape((tmp_path / "index.html").read_text())
    assert "validation chooses trial 4 (validation MAE 2.00): its mean test MAE is 3.14 years" in page
    assert "13 completed, 1 diverged" in page
    assert "-m 'split.seed=range(3)' optimizer.lr=0.0587" in page
    assert "'model.hidden=[8]'</pre>" in page
    assert {path.stem for path in (tmp_path / "figures").glob("search_*.svg")} == {
        f"search_{name}" for name in ("history", "pruning", "importance", "slices")
    }
    tables = {path.stem: path.read_text() for path in (tmp_path / "tables").glob("*.csv")}
    assert '13,diverged,,0.0001,"[64,32]",3' in tables["trials"]
    assert [f"{_test_mae(number):.4f}" in "".join(tables.values()) for number in (4, 5, 12)] == [True, False, False]


def test_of_several_that_none_beats_no_test_error_is_told(record: Callable[..., Path]) -> None:
    trials = [trial(number) | {"at_epochs": {}} for number in range(14)]
    report = composed(record(objective=["validation/mae", "validation/rmse"], best=[4, 5, 12], trials=trials))
    assert "3 are beaten by no other" in report.summary[0]
    tables = {table.name: table for section in report.sections for table in section.tables}
    assert tables["trials"].marked == {4, 5, 12}
    assert not any("test MAE" in column.head for table in tables.values() for column in table.columns)
    assert not any("test MAE" in text for text in (*report.summary, *report.warnings))
    assert "search_front" in {figure.name for section in report.sections for figure in section.figures}


def test_chosen_runs_may_lie_beside_the_folder_and_one_that_is_missing_is_told(record: Callable[..., Path]) -> None:
    trials = list(map(trial, range(14)))
    trials[4]["runs"] = ["../found/004_0", "004_1", "004_2", "gone"]  # the first: of another command of the same study
    found = composed(record(trials=trials))
    assert any("1 of 4 runs did not complete" in text for text in found.warnings)
    assert any("What one split validates with, others test" in text for text in found.warnings)
    assert "over 3 runs" in found.summary[0]


def test_a_search_has_no_variants_to_compare(record: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="leave by out"):
        read_sweep(record(), by=["optimizer.lr"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"best": [13]}, "has not completed"),
        ({"best": []}, "no trial of this search has completed"),
        ({"objective": ["validation/beauty"]}, "beauty"),
        ({"space": {"optimizer.lr": {"low": 1.0, "high": 0.1}}}, "no range"),
        ({"space": {"optimizer.lr": {"low": 0.1, "high": 1.0}}}, "not of its space"),
        ({"trials": "<script>"}, "trials"),
    ],
)
def test_a_record_that_is_damaged_is_refused(record: Callable[..., Path], changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_sweep(record(**changed))


def searched(score: Callable[[float, float], float], trials: int = 60) -> Searched:
    """A search of random trials over two options, by where they lie in their ranges."""
    rng = np.random.default_rng(1)
    space = {"a": Numbers(1e-6, 1.0, log=True), "b": Numbers(0.0, 5.0)}
    records = []
    for number, (a, b) in enumerate(rng.random((trials, 2)).tolist()):
        options = {"a": 10 ** (6 * a - 6), "b": 5 * b}
        records.append(TrialRecord(number, "completed", options, {"validation/mae": score(a, b)}, ("run",)))
    best = min(range(trials), key=lambda number: records[number].scores["validation/mae"])
    return Searched(SearchRecord("train", ("validation/mae",), space, (best,), tuple(records)))


@pytest.mark.parametrize(("of_a", "of_b"), [(1, 1), (1, 3)])
def test_importance_is_the_share_of_the_variance_logarithmic_where_the_range_is(of_a: int, of_b: int) -> None:
    """Of a sum of independent uniform numbers, the variances add up."""
    [found] = searched(lambda a, b: 2 + of_a * a + of_b * b).importances.values()
    of_all = of_a**2 + of_b**2
    assert found.shares == pytest.approx({"a": of_a**2 / of_all, "b": of_b**2 / of_all}, abs=0.15)


def test_one_trial_that_went_astray_does_not_decide_what_matters() -> None:
    [found] = searched(lambda a, b: 1e6 if b > 0.98 else 2 + a).importances.values()
    assert found.shares["a"] > 0.6


def test_pruned_trials_count_with_what_they_had_reached() -> None:
    search = searched(lambda a, b: 2 + a)
    trials = tuple(
        t
        if t.number % 8 == 0
        else replace(t, status="pruned", scores={}, at_epochs={4: t.scores["validation/mae"], 2: 9.0})
        for t in search.record.trials
    )
    best = min((t.scores["validation/mae"], t.number) for t in trials if t.scores)[1]
    [found] = Searched(replace(search.record, trials=trials, best=(best,))).importances.values()
    assert found.shares == pytest.approx({"a": 1, "b": 0}, abs=0.05)


def test_importance_that_cannot_be_told_has_a_reason() -> None:
    [few], [same] = (s.importances.values() for s in (searched(lambda a, b: a, 5), searched(lambda a, b: 2.0)))
    assert "10 trials" in few.why_not
    assert "same score" in same.why_not
    assert not few.shares


def test_a_choice_at_an_end_of_its_range_is_told() -> None:
    search = searched(lambda a, b: 2 + a + abs(b - 0.5))
    [best] = search.record.best
    assert at_ends(search.record, search.record.trials[best]) in ({"a": "lower"}, {})
    assert at_ends(search.record, TrialRecord(0, "completed", {"a": 0.9, "b": 2.5}, {}, ())) == {"a": "upper"}
    assert at_ends(search.record, TrialRecord(0, "completed", {"a": 1e-6, "b": 5.0}, {}, ())) == {
        "a": "lower",
        "b": "upper",
    }

"""A leaderboard: what entries try, that the test is looked at once, and that it goes on where it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf
from sweeps import SMALL, Sweep, make_sweep

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.entries import ParsedEntry, Repeats, parse_entries, parse_repeats
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import Chosen, Entry, Leaderboard, read_leaderboard
from vec2uage.runs.result import RunResult
from vec2uage.runs.standings import Standings
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.leaderboard.checks import check_same_faces
from vec2uage.sweep.leaderboard.compare import faces_of, run_leaderboard
from vec2uage.sweep.leaderboard.contest import arrange, choose
from vec2uage.sweep.leaderboard.options import leaderboard_options
from vec2uage.sweep.leaderboard.trials import draw


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def entries(sweep: Sweep, given: Mapping[str, Mapping[str, str]]) -> list[ParsedEntry]:
    return parse_entries(sweep.loader, given)


SEARCHED = {"model": "ridge", "model.alpha": "log(1e-3, 1e3)", "model.solver": "choice(svd,cholesky)"}


def test_an_entry_draws_the_same_whatever_others_there_are_and_more_trials_go_on(sweep: Sweep) -> None:
    [alone] = entries(sweep, {"ridge": SEARCHED})
    beside = {entry.name: entry for entry in entries(sweep, {"knn": {"model": "knn"}, "ridge": SEARCHED})}
    tried = draw(alone, 6, seed=1)
    assert tried[0] == {}, "as the YAML has it"
    assert len({json.dumps(dict(trial)) for trial in tried}) == 6
    assert draw(beside["ridge"], 9, seed=1)[:6] == tried
    assert draw(alone, 6, seed=2) != tried
    assert draw(beside["knn"], 6, seed=1) == ({},)
    assert all(1e-3 <= float(trial["model.alpha"]) <= 1e3 for trial in tried[1:])


def test_a_small_space_is_tried_once_each(sweep: Sweep) -> None:
    [entry] = entries(sweep, {"knn": {"model": "knn", "model.weights": "choice(distance, uniform)"}})
    assert sorted(trial.get("model.weights", "") for trial in draw(entry, 9, seed=1)) == ["", "distance", "uniform"]


def test_entries_that_are_made_of_others_come_after_these(sweep: Sweep) -> None:
    given = {
        "stack": {"model": "stack", "model.members": "[more,knn]"},
        "more": {"options_of": "ridge", "seed": "range(3)"},
        "knn": {"model": "knn"},
        "ridge": SEARCHED,
    }
    parsed = {entry.name: entry for entry in entries(sweep, given)}
    assert list(parsed) == ["knn", "ridge", "more", "stack"]
    assert parsed["stack"].members == ("more", "knn")
    assert parsed["more"].seeds == ("seed=0", "seed=1", "seed=2")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": {"options_of": "b"}}, "b is no entry"),
        ({"a": {"model": "stack", "model.members": "[a]"}}, "a is a stack"),
        ({"a": {"options_of": "b"}, "b": {"options_of": "a"}}, "no options of its own"),
        ({"a": {"options_of": "b", "model.alpha": "log(1,2)"}, "b": {"model": "ridge"}}, "nothing to draw"),
        ({"a": {"model": "ridge", "model.alpha": "interval(1,1)"}}, "one value"),
        ({"a": {"model": "ridge", "split.seed": "range(3)"}}, "same faces"),
        ({"a": {"model": "ridge", "dataset": "generated"}}, "same faces"),
        ({"a": {"model": "ridge", "++split.seed": "3"}}, "same faces"),
        ({"a": {"experiment": "utkface"}}, "same faces"),
        ({"a": {"model": "ridge", "plan": "true"}}, "of all entries"),
        ({"a": {"model": "ridge", "seed": "interval(1,3)"}}, "range(5)"),
        ({"a": {"model": "vec2uage", "seed": "1,2,1"}}, "second time"),
        ({"a": {"model": "ridge", "model.alpha": "choice(3)"}}, "one value"),
        ({"a": {"model": "ridge", "model.alpha": "log(1,"}}, "a.model.alpha = log(1,"),
        (
            {
                "a": {"model": "ridge"},
                "b": {"model": "stack", "model.members": "[a]"},
                "c": {"model": "stack", "model.members": "[a,b]"},
            },
            "b is a stack",
        ),
    ],
)
def test_entries_that_cannot_be_are_refused(sweep: Sweep, given: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(UserError) as refused:
        entries(sweep, given)
    assert said in " ".join([str(refused.value), *refused.value.problems])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["seed=1"], "several splits"),
        (["split.seed=range(2)", "model=ridge,knn"], "entry's own"),
        (["split.seed=0,1,0"], "second time"),
    ],
)
def test_what_entries_share_are_splits_and_seeds(sweep: Sweep, arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_repeats(sweep.loader, sweep.master, arguments)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"entries": {}}, "at least one entry"),
        ({"entries": {"a": 3}}, "mapping of options"),
        ({"entries": {"a/b": {"model": "ridge"}}}, "letters"),
        ({"trials": 0}, "hydra.sweeper.trials"),
        ({"reference": "swa"}, "no such entry"),
        ({"search": {"model.alpha": "log(1,2)"}}, "hydra.sweeper.search"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, object], said: str) -> None:
    usual = {"trials": 2, "seed": 1, "reference": "ridge", "entries": {"ridge": SEARCHED}, "params": None}
    with pytest.raises(UserError, match=said):
        leaderboard_options(OmegaConf.create({"hydra": {"sweeper": {**usual, **given}}}))


def result(name: str, validation: float, test: float, status: str = "completed") -> RunResult:
    scores = {"train/mae": 1.0, "validation/mae": validation}
    scores = {"test/mae": test, "test/crps": test, **scores} if status == "completed" else {}
    return RunResult(status=status, name=name, seed=1, optimizer=None, model="m", dataset="d", scores=scores)  # type: ignore[arg-type]


def test_the_test_is_looked_at_of_the_trial_that_validation_chose_and_of_no_other(tmp_path: Path, sweep: Sweep) -> None:
    """Whatever the others' test scores are, and though the files of their predictions are not there."""
    [entry] = entries(sweep, {"ridge": SEARCHED})
    repeats = Repeats({}, tuple(f"split.seed={split}" for split in range(3)), ("seed=1", "seed=2"))
    contest = arrange(entry, draw(entry, 3, 1), repeats, {}, tmp_path)
    assert len(contest.overrides) == 3 * 3 * 2
    chosen = {"0": 2, "1": 0}

    def tried(others: float) -> dict[tuple[str, ...], RunResult]:
        found = {}
        for (split, trial), jobs in contest.jobs.items():
            for seed, job in enumerate(jobs):
                if split == "2":
                    found[job] = result(f"{split}-{trial}-{seed}", 1.0, 1.0, "diverged")
                elif chosen[split] == trial:
                    found[job] = result(f"{split}-{trial}-{seed}", 1.0 + seed, 4.0 + seed)
                else:  # one seed is better by validation, not their mean
                    found[job] = result(f"{split}-{trial}-{seed}", 0.5 + 2.2 * seed, others)
        return found

    for split, trial in chosen.items():
        for seed in range(2):
            folder = RunFolder(tmp_path / f"{split}-{trial}-{seed}")
            folder.path.mkdir()
            folder.predictions.write_text("name,subject,age,prediction\na,,3.5,4.5\nb,,12.9,12.4\nc,,18,15\n")
    best, worst = (choose(contest, tried(others), tmp_path) for others in (0.0, 99.0))
    assert best == worst, "their test scores make no difference"
    assert {split: of.trial for split, of in best.chosen.items()} == chosen
    assert best.chosen["0"].validation == 1.5
    assert best.chosen["0"].scores["test/mae"] == 4.5
    assert best.chosen["0"].bands == pytest.approx({"1-5": 1.0, "6-12": 0.5, "16-18": 3.0})
    assert best.missing == {"2": "diverged"}


def test_an_entry_with_vectors_of_its_own_is_tested_on_the_same_faces(tmp_path: Path) -> None:
    def tested(name: str, *rows: str) -> Entry:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        folder.predictions.write_text("\n".join(["name,subject,age,prediction", *rows, ""]))
        return Entry(name, {}, {}, (), False, None, {"0": Chosen(0, 1.0, {}, {}, 1.0, (name,))})

    done = {"ridge": tested("ridge", "a,,3.0,4.5", "b,,12.0,12.4")}
    check_same_faces(done["ridge"], {}, tmp_path)
    check_same_faces(tested("same", "a,,3.0,8", "b,,12.0,9"), done, tmp_path)
    for name, last in {"other": "c,,12.0,9", "younger": "b,,11.0,9"}.items():
        with pytest.raises(UserError, match=rf"{name}: .*split\.seed=0 .*ridge"):
            check_same_faces(tested(name, "a,,3.0,8", last), done, tmp_path)


def test_intervals_are_of_the_fewest_faces_that_any_split_trains_on(tmp_path: Path) -> None:
    """Which come once each, however often rows are repeated or augmented."""
    of_split = {"0": "train,photographed,90\ntrain,augmented,50\n", "1": "train,photographed,70\ntrain,repeated,9\n"}
    for split, rows in of_split.items():
        folder = RunFolder(tmp_path / split)
        folder.path.mkdir()
        folder.data.write_text(f"part,kind,faces\n{rows}test,photographed,10\n")
    chosen = {split: Chosen(0, 1.0, {}, {}, 1.0, (split,)) for split in of_split}
    assert faces_of({"ridge": Entry("ridge", {}, {}, ({},), False, None, chosen)}, tmp_path) == (70, 10)


COMMON = (*SMALL, "trainer.device=cpu", "split.seed=range(2)")
RIDGE = {"model": "ridge", "model.alpha": "log(1e-2, 1e3)"}
MINIATURE = {
    "both": {"model": "stack", "model.members": ["ridge", "knn"]},
    "ridge": RIDGE,
    "knn": {"model": "knn"},
    "same": {"options_of": "ridge", "seed": "range(1,3)"},
}


def compare(folder: Path, entries: Mapping[str, object], *arguments: str, trials: int = 3) -> Leaderboard:
    sweep = make_sweep("hydra/sweeper=leaderboard", *arguments)
    OmegaConf.update(sweep.master, "hydra.sweeper.entries", entries, force_add=True)
    sweep.master.hydra.sweeper.trials, sweep.master.hydra.sweeper.reference = trials, "ridge"
    sweep.master.hydra.sweep.dir = str(folder)
    run_leaderboard(sweep.context(), sweep.master, print, None, [*COMMON, *arguments])
    return read_leaderboard(folder)


def test_what_validation_chose_is_tested_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = compare(tmp_path, {"ridge": RIDGE})
    assert "best by validation" not in capsys.readouterr().out, "that table has the test errors of all"
    results = {path.parent.name: RunFolder(path.parent).read_result() for path in tmp_path.rglob("result.json")}
    assert len(results) == 6
    [ridge] = board.entries
    for split, of in ridge.chosen.items():
        errors = [r.scores["validation/mae"] for name, r in results.items() if name.endswith(f"split.seed={split}")]
        assert results[of.runs[0]].scores["validation/mae"] == min(errors) == of.validation
        assert results[of.runs[0]].scores["test/mae"] == of.scores["test/mae"]
    [row] = read_csv(tmp_path / "leaderboard.csv")
    assert float(row["test_mae"]) == np.mean([of.scores["test/mae"] for of in ridge.chosen.values()])
    assert (row["difference"], row["predicts"], row["trials"]) == ("", "point", "3")
    assert float(row["model_bytes"]) > 1000


@pytest.mark.slow
def test_more_entries_come_later_and_are_made_of_the_chosen(tmp_path: Path) -> None:
    first = compare(tmp_path, {"ridge": RIDGE})
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    board = compare(tmp_path, MINIATURE)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained, "kept"
    assert [entry.name for entry in board.entries] == ["ridge", "knn", "both", "same"]
    ridge, knn, both, same = board.entries
    assert ridge.chosen == first.entries[0].chosen
    for split, of in ridge.chosen.items():
        assert same.chosen[split].trial == of.trial
        assert len(same.chosen[split].runs) == 2
        members = RunFolder(tmp_path / both.chosen[split].runs[0]).read_config()["model"]["members"]
        assert [Path(member).name for member in members] == [*of.runs, *knn.chosen[split].runs]
    assert (both.has_spread, ridge.has_spread) == (True, False)
    assert [row["entry"] for row in read_csv(tmp_path / "leaderboard.csv")] == [
        row.entry.name for row in Standings(board).rows
    ]


@pytest.mark.slow
def test_a_drawn_trial_that_is_what_the_model_has_anyway_is_none(tmp_path: Path) -> None:
    entry = {"model": "ridge", "model.alpha": "choice(1.0,1,2)"}
    [ridge] = compare(tmp_path, {"ridge": entry}, trials=9).entries
    assert [dict(trial) for trial in ridge.trials] == [{}, {"model.alpha": "2"}]
    assert len(list(tmp_path.rglob("result.json"))) == 4


def test_what_is_wrong_with_any_entry_is_told_before_one_is_trained(tmp_path: Path) -> None:
    stack = {"model": "stack", "model.weights": "heavy", "model.members": ["ridge"]}
    with pytest.raises(UserError, match=r"model\.weights"):
        compare(tmp_path / "sweep", {"ridge": {"model": "ridge"}, "last": stack})
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.slow
def test_every_entry_of_conf_is_of_options_that_are_there() -> None:
    given = ["experiment=leaderboard", "dataset.path=faces.npz", "split.seed=range(1)"]
    sweep = make_sweep(*given[:2])
    options = leaderboard_options(sweep.master)
    repeats, composer = parse_repeats(sweep.loader, sweep.master, given), Composer(sweep.loader, sweep.master)
    own = [entry for entry in parse_entries(sweep.loader, options.entries) if not entry.needs]
    for entry in own:
        contest = arrange(entry, draw(entry, 3, options.seed), repeats, {}, composer.folder)
        assert len(compose_jobs(composer, contest.overrides, 0)) == (3 if entry.distributions else 1)
    models = {entry.fixed.get("model", "model=vec2uage").partition("=")[2] for entry in own}
    assert models >= {path.stem for path in Path(conf_dir(), "model").glob("*.yaml")} - {
        "stack",
        "linear",
        "end_to_end",
    }


@pytest.mark.slow
def test_a_plan_tells_what_is_to_come_and_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(tmp_path, {"ridge": RIDGE}, trials=1)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        compare(tmp_path, MINIATURE, "plan=true")
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert "3 of 4 runs to train" in said, "how those of one split are trained"
    assert lines["ridge"][1:3] == ["6", "2"]
    assert lines["knn"][1:] == ["2", "0", "?"]
    assert lines["both"][1:] == ["after", "ridge,", "knn"]
    with pytest.raises(SystemExit):
        compare(tmp_path, {"ridge": RIDGE}, "plan=true", "resume=false", trials=1)
    _, ridge, estimate, *_ = capsys.readouterr().out.splitlines()
    assert ridge.split()[:3] == ["ridge", "2", "0"]
    assert "of one core" in estimate
    assert len(list(tmp_path.rglob("result.json"))) == 2


@pytest.mark.slow
def test_a_leaderboard_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    network = "{optimizer.lr:'log(1e-3,1)',model.hidden:[8],trainer.max_epochs:4}"
    given = ["+hydra.sweeper.entries.ridge={model:ridge}", f"+hydra.sweeper.entries.network={network}"]
    command = [sys.executable, "-m", "vec2uage.train", "-m", "hydra/sweeper=leaderboard", *COMMON, *given]
    command += ["hydra.sweeper.trials=2", "hydra.sweeper.reference=network"]
    subprocess.run([*command, "hydra.sweep.dir=alone"], cwd=tmp_path, check=True, capture_output=True)
    with subprocess.Popen([*command, "hydra.sweep.dir=killed"], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if len(list(tmp_path.glob("killed/*/metrics.csv"))) > 1:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL
    subprocess.run([*command, "hydra.sweep.dir=killed"], cwd=tmp_path, check=True, capture_output=True)
    alone, killed = (
        [
            (entry.name, split, of.trial, of.validation, of.scores, of.bands)
            for entry in read_leaderboard(tmp_path / name).entries
            for split, of in entry.chosen.items()
        ]
        for name in ("alone", "killed")
    )
    assert alone == killed
    assert len(alone) == 4

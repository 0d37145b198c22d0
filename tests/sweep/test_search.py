"""A search: what its spaces mean, what it suggests, that it goes on as if undisturbed, and finds what is best."""

import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
from hydra.core.singleton import Singleton
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial
from sweeps import SMALL, Sweep, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.spaces import SearchSpace, parse_search
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.search_record import Numbers, read_search
from vec2uage.sweep.check import check_space
from vec2uage.sweep.search.options import SearchOptions, search_options
from vec2uage.sweep.search.pruners import Pruner
from vec2uage.sweep.search.search import run_search
from vec2uage.sweep.search.study import Ended, Study

SPACE: dict[str, BaseDistribution] = {"lr": FloatDistribution(1e-5, 1, log=True), "depth": IntDistribution(1, 4)}
Outcome = Callable[[FrozenTrial], Ended]


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def options(**given: object) -> SearchOptions:
    usual = {"trials": 24, "startup": 8, "batch": 4, "objective": "validation/mae", "seed": 1, "search": {}}
    return SearchOptions(**(usual | {"params": None, "pruner": Pruner(), "study": None} | given))  # type: ignore[arg-type]


def study(path: Path, space: dict[str, BaseDistribution] = SPACE, **given: object) -> Study:
    return Study(options(**given), space, [["seed=1"]], path)


def height(trial: FrozenTrial) -> float:
    return float((math.log10(trial.params["lr"]) + 2) ** 2 + (trial.params["depth"] - 3.0) ** 2)


def valley(trial: FrozenTrial) -> Ended:
    """Best at lr 0.01 and depth 3."""
    return Ended("completed", values=(height(trial),))


def go_on(found: Study, outcome: Outcome = valley, batches: int = 100) -> list[dict[str, object]]:
    """Ask and tell to the end, or for so many batches; return what was suggested."""
    while batches and (asked := found.ask()):
        for trial in asked:
            found.tell(trial, outcome(trial))
        batches -= 1
    return [trial.params for trial in found.trials]


def test_a_search_finds_the_bottom_of_a_valley_better_than_chance(tmp_path: Path) -> None:
    found = study(tmp_path / "j", trials=48)
    go_on(found)
    by_chance = study(tmp_path / "k", trials=48, startup=48)
    go_on(by_chance)

    def misses(trials: Sequence[FrozenTrial]) -> float:
        return float(np.median([trial.value for trial in trials if trial.value is not None]))

    assert found.best[0].params["depth"] == 3
    assert 0.005 < found.best[0].params["lr"] < 0.02
    assert misses(found.trials[8:]) < misses(by_chance.trials[8:]) / 2


def test_suggestions_follow_from_seed_and_what_was_told_alone(tmp_path: Path) -> None:
    usual = go_on(study(tmp_path / "a"))
    assert go_on(study(tmp_path / "b")) == usual
    assert go_on(study(tmp_path / "c", seed=2))[0] != usual[0]
    other = go_on(study(tmp_path / "d"), lambda trial: Ended("completed", values=(-height(trial),)))
    assert other[:8] == usual[:8], "the first are drawn at random"
    assert other[8:] != usual[8:]


@pytest.mark.parametrize("batches", [1, 3])
def test_what_was_stopped_goes_on_as_if_undisturbed_also_to_more_trials(tmp_path: Path, batches: int) -> None:
    undisturbed = go_on(study(tmp_path / "a", trials=22))
    go_on(study(tmp_path / "b", trials=14), batches=batches)
    again = study(tmp_path / "b", trials=22)
    again.read_journal()
    assert go_on(again) == undisturbed
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "b")))
    recorded = optuna.load_study(study_name="search", storage=storage)
    assert [trial.params for trial in recorded.trials] == undisturbed, "for Optuna's own tools"


def test_a_journal_whose_last_line_was_cut_off_goes_on(tmp_path: Path) -> None:
    undisturbed = go_on(study(tmp_path / "a"))
    go_on(study(tmp_path / "b"), batches=3)
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(whole[:-20])
    again = study(tmp_path / "b")
    again.read_journal()
    assert go_on(again) == undisturbed
    assert len((tmp_path / "b").read_bytes().splitlines()) == len((tmp_path / "a").read_bytes().splitlines())


@pytest.mark.parametrize("content", [b"no journal\nat all\n", b"", b"{}\n{}\n"])
def test_a_damaged_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        study(tmp_path / "j").read_journal()


@pytest.mark.parametrize("changed", [{"seed": 2}, {"space": {"lr": FloatDistribution(1e-4, 1, log=True)}}])
def test_a_journal_of_another_search_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    go_on(study(tmp_path / "j"), batches=1)
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(UserError, match=next(iter(changed))):
        study(tmp_path / "j", **changed).read_journal()  # type: ignore[arg-type]
    assert (tmp_path / "j").read_bytes() == before


def test_other_values_than_recorded_are_refused(tmp_path: Path) -> None:
    go_on(study(tmp_path / "j"), batches=1)
    again = study(tmp_path / "j")
    again.read_journal()
    with pytest.raises(UserError, match="trial 0"):
        go_on(again, lambda trial: Ended("completed", values=(height(trial) + 1,)))


def test_what_diverged_is_avoided_and_what_failed_stays_so(tmp_path: Path) -> None:
    def diverging(trial: FrozenTrial) -> Ended:
        return Ended("diverged") if trial.params["lr"] > 1e-3 else valley(trial)

    found = study(tmp_path / "a", trials=64)
    go_on(found, diverging)
    assert sum(trial.params["lr"] > 1e-3 for trial in found.trials[8:]) < 56 / 2, "60% by chance"
    failing = study(tmp_path / "b")
    go_on(failing, lambda trial: Ended("failed") if trial.number == 2 else valley(trial), batches=2)
    again = study(tmp_path / "b")
    again.read_journal()
    assert [again.has_failed_before(trial) for trial in again.ask()] == [False, False, True, False]


def test_several_objectives_leave_what_no_other_trial_beats(tmp_path: Path) -> None:
    found = study(tmp_path / "j", objective=("validation/mae", "validation/rmse"))
    go_on(
        found, lambda trial: Ended("completed", values=(float(trial.params["depth"]), -math.log10(trial.params["lr"])))
    )
    values = np.array([trial.values for trial in found.trials])
    beaten = [bool(((values <= own).all(axis=1) & (values < own).any(axis=1)).any()) for own in values]
    best = {trial.number for trial in found.best}
    assert best == {number for number, is_beaten in enumerate(beaten) if not is_beaten}


def space_of(sweep: Sweep, arguments: Sequence[str], search: dict[str, str]) -> SearchSpace:
    return parse_search(sweep.loader, sweep.master, search, arguments)


def test_spaces_are_written_as_hydra_writes_sweeps_and_seeds_are_repeated(sweep: Sweep) -> None:
    arguments = [
        "optimizer.lr=tag(log,interval(1e-5,0.1))",  # what log() on the command line becomes
        "optimizer.beta1=interval(0.5,0.9)",
        "trainer.batch_size=range(16,65,16)",
        "optimizer=sgd,adam",
        "trainer.max_epochs=3",
        "seed=1,2",
        "split.seed=range(2)",
    ]
    of_conf = {
        "optimizer.eps": "int(log(8, 64))",
        "model.hidden": "choice([8],[4,4])",
        "trainer.max_epochs": "range(9)",
    }
    found = space_of(sweep, arguments, of_conf)
    assert found.distributions == {
        "optimizer.eps": IntDistribution(8, 64, log=True),
        "model.hidden": CategoricalDistribution(("[8]", "[4,4]")),
        "optimizer.lr": FloatDistribution(1e-5, 0.1, log=True),
        "optimizer.beta1": FloatDistribution(0.5, 0.9),
        "trainer.batch_size": IntDistribution(16, 64, step=16),
        "optimizer": CategoricalDistribution(("sgd", "adam")),
    }
    assert sorted(found.repeats) == [
        ("trainer.max_epochs=3", f"seed={seed}", f"split.seed={split}") for seed in (1, 2) for split in (0, 1)
    ]


@pytest.mark.parametrize(
    ("arguments", "search", "said"),
    [
        (["seed=1,2"], {}, "nothing to search"),
        (["optimizer.lr=interval(1,1)"], {}, "one value"),
        (["optimizer.lr=range(3,1)"], {}, "no value"),
        (["optimizer.lr=range(1,3,0)"], {}, "step"),
        (["optimizer.lr=interval(1,0)"], {}, "below the second"),
        (["optimizer.lr=interval(nan,1)"], {}, "numbers between"),
        (["optimizer.lr=interval(0,inf)"], {}, "numbers between"),
        (["trainer.max_epochs=int(interval(1,1e30))"], {}, "numbers between"),
        (["optimizer.lr='logg(1,2)'"], {}, "logg(1,2)"),
        (["model=glob(zzz*)"], {}, "no such choice"),
        (["split.heldout_per_age=10,20"], {}, "judged"),
        (["seed=interval(1,10)"], {}, "a seed is nothing to choose"),
        (["seed=range(3,1)", "optimizer.lr=interval(1,2)"], {}, "no runs"),
        ([], {"optimizer.lr": "0.1"}, "hydra.sweeper.search.optimizer.lr = 0.1"),
        ([], {"optimizer.lr": "choice(0.1)"}, "one value"),
        ([], {"optimizer.lr": "log(0, 1)"}, "above 0"),
        (["trainer.threads=1,2"], {}, "no number"),
        ([], {"hydra.sweeper.trials": "range(3)"}, "no number"),
        ([], {"seed": "range(3)"}, "a seed is nothing to choose"),
        (["optimizer.lr=tag(exp,interval(1,2))"], {}, "exp"),
        (["optimizer.lr=tag(log,range(1,9))"], {}, "logarithm"),
    ],
)
def test_a_space_without_a_choice_is_refused(
    sweep: Sweep, arguments: list[str], search: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        space_of(sweep, arguments, search)


@pytest.mark.parametrize(("typed", "values"), [("range(9,0,-3)", [3, 9]), ("range(0,1.1,0.1)", [0.0, 1.0])])
def test_a_range_holds_what_hydra_has_in_it_and_may_fall(sweep: Sweep, typed: str, values: list[float]) -> None:
    found = space_of(sweep, [f"optimizer.lr={typed}"], {})
    assert sorted(float(job[-1].partition("=")[2]) for job in found.ends()) == values


def test_the_runs_of_a_seed_that_is_named_twice_are_those_of_one(sweep: Sweep) -> None:
    assert space_of(sweep, ["seed=2,1,2", "optimizer.lr=interval(1,2)"], {}).repeats == (("seed=2",), ("seed=1",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["optimizer.lrr=interval(1,2)"], "did you mean lr?"),
        (["regularization.dropout=interval(0,2)"], "should be less than 1"),
        (["model=vec2uage,svr", "model.C=interval(1,10)"], "no such option"),
        (["lr_finder=none,range_test", "optimizer.lr=interval(0.1,1)"], "finds the rate"),
    ],
)
def test_a_space_with_what_is_not_allowed_is_refused_in_one_sentence(sweep: Sweep, given: list[str], said: str) -> None:
    space = space_of(sweep, [*SMALL, *given], {})
    with pytest.raises(UserError, match=re.escape(said)) as refused:
        check_space(Composer(sweep.loader, sweep.master), space.ends())
    assert not refused.value.problems


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hydra.sweeper.objective=validation/beauty", "validation/mae"),
        ("hydra.sweeper.objective=[validation/mae,validation/mae]", "once"),
        ("hydra.sweeper.objective=test/mae", "validation/mae"),
        ("hydra.sweeper.trials=0", "hydra.sweeper.trials"),
    ],
)
def test_wrong_options_are_refused(given: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        search_options(make_sweep("hydra/sweeper=optuna", given).master)


RIDGE = (*SMALL, "model=ridge", "trainer.device=cpu", "split.seed=range(2)")
FEW = ("hydra.sweeper.trials=4", "hydra.sweeper.batch=2", "hydra.sweeper.startup=2")


def search(folder: Path, *own: str, sweeper: Sequence[str] = FEW) -> dict[str, object]:
    sweep = make_sweep("hydra/sweeper=optuna", *sweeper)
    sweep.master.hydra.sweep.dir = str(folder)
    run_search(sweep.context(), sweep.master, print, None, [*RIDGE, *own])
    written: dict[str, object] = json.loads((folder / "search.json").read_text())
    return written


def test_trials_are_means_over_splits_and_the_same_command_trains_nothing_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alpha = "model.alpha=tag(log,interval(0.1,100))"
    written = search(tmp_path, alpha)
    trials = written["trials"]
    assert isinstance(trials, list)
    assert [trial["status"] for trial in trials] == ["completed"] * 4
    of_runs = [[RunFolder(tmp_path / name).read_result() for name in trial["runs"]] for trial in trials]
    means = [np.mean([run.scores["validation/mae"] for run in runs]) for runs in of_runs]
    assert [trial["scores"]["validation/mae"] for trial in trials] == pytest.approx(means)
    assert written["best"] == [int(np.argmin(means))]
    tests = np.mean([run.scores["test/mae"] for run in of_runs[int(np.argmin(means))]])
    assert f"test/mae {tests:.3f}" in capsys.readouterr().out
    record = read_search(tmp_path)
    assert record is not None
    assert record.chosen == record.trials[int(np.argmin(means))]
    assert record.space == {"model.alpha": Numbers(0.1, 100.0, log=True)}
    assert shlex.split(record.command) == ["python", "-m", "vec2uage.train", "-m", *RIDGE]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert search(tmp_path, alpha) == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == before
    with pytest.raises(UserError, match="another search"):
        search(tmp_path, "model.alpha=tag(log,interval(0.1,200))")


@pytest.mark.slow
def test_two_trials_of_the_same_options_are_trained_once(tmp_path: Path) -> None:
    trials = search(tmp_path, "augmentation.train_per_age=20,30")["trials"]
    assert isinstance(trials, list)
    assert len(trials) == 4
    assert len(list(tmp_path.rglob("result.json"))) == 4, "two of two splits"


@pytest.mark.slow
def test_the_best_strength_of_ridge_regression_is_found(tmp_path: Path) -> None:
    """Where coefficients are normal and errors, too, the best penalty is the ratio of their variances (Hoerl 1970)."""
    rng = np.random.default_rng(3)
    of_coefficients, of_errors, dimension = 0.1, 3.0, 800
    x = rng.normal(size=(1200, dimension)).astype(np.float32)
    ages = 10 + x @ rng.normal(scale=of_coefficients, size=dimension) + rng.normal(scale=of_errors, size=len(x))
    np.savez(tmp_path / "known.npz", vectors=x, ages=ages.clip(0.1, 99))
    sweep = make_sweep("hydra/sweeper=optuna", "hydra.sweeper.trials=16", "hydra.sweeper.startup=8")
    sweep.master.hydra.sweep.dir = str(tmp_path / "search")
    given = ["dataset=vectors", f"dataset.path={tmp_path}/known.npz", "model=ridge", "normalization=none"]
    given += ["augmentation=none", "split.age_range=[3,17]", "split.heldout_per_age=16", "split.seed=range(2)"]
    run_search(sweep.context(), sweep.master, print, None, [*given, "model.alpha=tag(log,interval(1e-3,1e6))"])
    written = json.loads((tmp_path / "search/search.json").read_text())
    [best] = [trial["options"]["model.alpha"] for trial in written["trials"] if trial["number"] in written["best"]]
    known = of_errors**2 / of_coefficients**2
    assert known / 5 < best < known * 5


@pytest.mark.slow
def test_a_search_that_was_killed_makes_the_same_suggestions(tmp_path: Path) -> None:
    given = ["-m", "hydra/sweeper=optuna", *FEW, *SMALL, "model.hidden=[8]", "trainer.max_epochs=8", "seed=1,2"]
    command = [sys.executable, "-m", "vec2uage.train", *given, "optimizer.lr=log(1e-4,1)"]
    subprocess.run([*command, "hydra.sweep.dir=alone"], cwd=tmp_path, check=True, capture_output=True)
    with subprocess.Popen([*command, "hydra.sweep.dir=killed"], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if len(list(tmp_path.glob("killed/*/metrics.csv"))) > 2:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)
    assert process.returncode == -signal.SIGKILL
    subprocess.run([*command, "hydra.sweep.dir=killed"], cwd=tmp_path, check=True, capture_output=True)
    assert json.loads((tmp_path / "killed/search.json").read_text()) == json.loads(
        (tmp_path / "alone/search.json").read_text()
    )
    for weights in tmp_path.glob("alone/*/best.safetensors"):
        assert (tmp_path / "killed" / weights.relative_to(tmp_path / "alone")).read_bytes() == weights.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("best", "other"), [("ridge", "knn"), ("knn", "ridge")])
def test_the_model_is_chosen_that_the_data_was_made_for(best: str, other: str, tmp_path: Path) -> None:
    """Ages are linear in 24 numbers, where no neighbour is near; or how far two are from 0, which no line can tell."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(900, 24 if best == "ridge" else 2)).astype(np.float32)
    years = 10 + 2 * x @ rng.normal(size=24) if best == "ridge" else 2 + 12 * np.linalg.norm(x, axis=1)
    np.savez(tmp_path / "known.npz", vectors=x, ages=(years + rng.normal(size=900)).clip(1, 20))
    sweep = make_sweep("hydra/sweeper=optuna", *FEW)
    sweep.master.hydra.sweep.dir = str(tmp_path / "search")
    given = ["dataset=vectors", f"dataset.path={tmp_path}/known.npz", "normalization=none", "augmentation=none"]
    given += ["split.age_range=[6,13]", "split.heldout_per_age=10", f"model={other},{best}"]
    run_search(sweep.context(), sweep.master, print, None, given)
    written = json.loads((tmp_path / "search/search.json").read_text())
    tried = {trial["options"]["model"] for trial in written["trials"]}
    assert tried == {best, other}
    assert {written["trials"][number]["options"]["model"] for number in written["best"]} == {best}

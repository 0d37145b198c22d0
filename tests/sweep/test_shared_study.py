"""A study that several commands share: what each asks for and is told, and what a killed one takes up again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.singleton import Singleton
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial
from sweeps import SMALL, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.runs.search_record import SearchRecord, read_search
from vec2uage.sweep.search.options import SearchOptions
from vec2uage.sweep.search.pruners import Pruner
from vec2uage.sweep.search.search import run_search
from vec2uage.sweep.search.shared_study import SharedStudy
from vec2uage.sweep.search.study import Ended

SPACE: dict[str, BaseDistribution] = {"lr": FloatDistribution(1e-5, 1, log=True), "depth": IntDistribution(1, 4)}
RIDGE = (*SMALL, "model=ridge", "trainer.device=cpu", "model.alpha=tag(log,interval(0.1,100))")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def command(tmp_path: Path, name: str, seed: int = 1, trials: int = 20) -> SharedStudy:
    """Join the study as the command that trains in a folder of this name."""
    options = SearchOptions(
        trials=trials,
        startup=4,
        batch=4,
        objective=("validation/mae",),
        seed=seed,
        pruner=Pruner(),
        study=str(tmp_path / "study.journal"),
        search={},
        params=None,
    )
    return SharedStudy(options, SPACE, [["seed=1"]], tmp_path / name)


def valley(trial: FrozenTrial) -> Ended:
    return Ended("completed", values=((trial.params["depth"] - 3.0) ** 2 + abs(trial.params["lr"] - 0.01),))


def test_commands_ask_for_different_trials_and_are_told_what_the_others_found(tmp_path: Path) -> None:
    one, other = command(tmp_path, "one"), command(tmp_path, "other")
    asked = {"one": one.ask(), "other": other.ask()}
    numbers = [trial.number for own in asked.values() for trial in own]
    assert numbers == list(range(8))
    assert len({trial.params["lr"] for own in asked.values() for trial in own}) == 8
    for trial in asked["one"]:
        one.tell(trial, valley(trial))
    assert [trial.value for trial in other.trials[:4]] == [trial.value for trial in one.trials[:4]]
    assert other.best[0].number in range(4)
    assert other.folder_of(other.best[0]) == (tmp_path / "one").resolve()


def test_a_killed_command_takes_up_its_own_trials(tmp_path: Path) -> None:
    begun = command(tmp_path, "killed").ask()
    others = command(tmp_path, "other").ask()
    again = command(tmp_path, "killed")
    assert [(trial.number, trial.params) for trial in again.ask()] == [(trial.number, trial.params) for trial in begun]
    for trial in begun:
        again.tell(trial, valley(trial))
    assert {trial.number for trial in again.ask()}.isdisjoint(trial.number for trial in [*begun, *others])


def test_many_commands_together_try_as_many_as_one(tmp_path: Path) -> None:
    def work(name: str) -> None:
        own = command(tmp_path, name)
        while asked := own.ask():
            for trial in asked:
                own.tell(trial, valley(trial))

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = command(tmp_path, "0").trials
    assert [trial.number for trial in trials] == list(range(20))
    assert all(trial.value is not None for trial in trials)


def test_what_is_no_journal_of_this_search_is_refused(tmp_path: Path) -> None:
    command(tmp_path, "one").ask()
    with pytest.raises(UserError, match=r"another search.*seed"):
        command(tmp_path, "other", seed=2)
    (tmp_path / "study.journal").write_bytes(b"no journal\nat all\n")
    with pytest.raises(UserError, match="damaged"):
        command(tmp_path, "one")
    (tmp_path / "study.journal").unlink()
    (tmp_path / "study.journal").mkdir()
    with pytest.raises(UserError, match="a folder"):
        command(tmp_path, "one")


def search(tmp_path: Path, name: str, trials: int) -> SearchRecord:
    few = [f"hydra.sweeper.trials={trials}", "hydra.sweeper.batch=2", "hydra.sweeper.startup=2"]
    sweep = make_sweep("hydra/sweeper=optuna", *few, f"hydra.sweeper.study={tmp_path}/study.journal")
    sweep.master.hydra.sweep.dir = str(tmp_path / name)
    run_search(sweep.context(), sweep.master, print, None, RIDGE)
    found = read_search(tmp_path / name)
    assert found is not None
    return found


@pytest.mark.slow
def test_each_command_tells_of_all_trials_and_where_their_runs_lie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path, "one", 2)
    found = search(tmp_path, "other", 4)
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    assert len(list((tmp_path / "other").glob("*/result.json"))) == 2
    for trial in found.trials:
        for run in trial.runs:
            assert (tmp_path / "other" / run / "result.json").is_file()
    assert found.trials[0].runs[0].startswith("../one/")
    assert "test/mae" in capsys.readouterr().out
    assert len(search(tmp_path, "one", 4).trials) == 4, "where nothing is left to try, too"

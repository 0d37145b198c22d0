"""Trials that end early: which rule ends which, and that what goes on is as it would be without."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
import pytest
from hydra.core.singleton import Singleton
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial
from sweeps import SMALL, make_sweep

from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import read_sweep
from vec2uage.sweep.search.pruners import Halving, Median
from vec2uage.sweep.search.search import run_search

NETWORK = (*SMALL, "model.hidden=[4]", "trainer.device=cpu", "trainer.max_epochs=7", "early_stopping=none", "seed=1,2")
RATE = "optimizer.lr=tag(log,interval(1e-4,1))"
FEW = ("hydra.sweeper.trials=4", "hydra.sweeper.batch=2", "hydra.sweeper.startup=2")
HALVING = ("pruner=halving", "hydra.sweeper.pruner.epochs=[2,4]")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def search(folder: Path, *own: str, sweeper: Sequence[str] = (), runs: Sequence[str] = NETWORK) -> dict[str, object]:
    sweep = make_sweep("hydra/sweeper=optuna", *FEW, *sweeper)
    sweep.master.hydra.sweep.dir = str(folder)
    run_search(sweep.context(), sweep.master, print, None, [*runs, *own])
    written: dict[str, object] = json.loads((folder / "search.json").read_text())
    return written


VALUES = st.lists(st.floats(0, 100), min_size=1, max_size=30)


@given(VALUES, VALUES)
def test_the_median_rule_is_that_of_optuna(completed: list[float], batch: list[float]) -> None:
    study = optuna.create_study()
    study.add_trials([create_trial(value=value, intermediate_values={5: value}) for value in completed])
    theirs = optuna.pruners.MedianPruner(n_startup_trials=3)
    now = [create_trial(state=TrialState.RUNNING, intermediate_values={5: value}) for value in batch]
    ours = Median(epochs=(5,), startup=3).worse(dict(enumerate(batch)), {}, dict(enumerate(completed, len(batch))))
    assert set(ours) == {number for number, trial in enumerate(now) if theirs.prune(study, trial)}


@given(VALUES, VALUES, st.integers(2, 5))
def test_halving_leaves_the_best_of_all_that_came_so_far(earlier: list[float], batch: list[float], of: int) -> None:
    ended = Halving(epochs=(5,), reduction=of).worse(dict(enumerate(batch)), dict(enumerate(earlier, len(batch))), {})
    everyone = [*earlier, *batch]
    for number, value in enumerate(batch):
        is_among_best = sum(other < value for other in everyone) < max(1, len(everyone) // of)
        assert (number in ended) == (not is_among_best)


def test_pruned_trials_say_so_everywhere_and_the_others_keep_their_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = search(tmp_path / "pruned", RATE, sweeper=HALVING)["trials"]
    said = capsys.readouterr().out
    assert isinstance(trials, list)
    pruned = [trial for trial in trials if trial["status"] == "pruned"]
    completed = [trial for trial in trials if trial["status"] == "completed"]
    assert pruned
    assert completed
    assert len(pruned) + len(completed) == 4
    assert f"{len(pruned)} pruned" in said
    of_sweep = {result.name: result for result in read_sweep(tmp_path / "pruned")}
    for trial in pruned:
        for name in trial["runs"]:
            folder = RunFolder(tmp_path / "pruned" / name)
            result = folder.read_result()
            assert (result.status, of_sweep[name].status) == ("pruned", "pruned")
            assert "epoch" in str(result.reason)
            assert result.epochs in (2, 4)
            assert len(folder.metrics.read_text().splitlines()) == result.epochs + 1
            assert not folder.checkpoint.exists()
            assert not folder.model.exists()
            assert not any(score.startswith("test") for score in result.scores)
    assert "\npruned," in (tmp_path / "pruned/sweep.csv").read_text()
    alone = search(tmp_path / "alone", RATE, sweeper=["hydra.sweeper.trials=2"])["trials"]
    assert isinstance(alone, list)
    both = [(trial, other) for trial, other in zip(trials, alone, strict=False) if trial["status"] == "completed"]
    assert both, "one of the first batch is always completed"
    for trial, other in both:
        for name, own in zip(trial["runs"], other["runs"], strict=True):
            for file in ("best.safetensors", "metrics.csv", "predictions.csv"):
                assert (tmp_path / "pruned" / name / file).read_bytes() == (
                    tmp_path / "alone" / own / file
                ).read_bytes()

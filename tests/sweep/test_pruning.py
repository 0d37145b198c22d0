"""Trials that end early: which rule ends which, and that what goes on is as it would be without."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import optuna
import pytest
from hydra.core.singleton import Singleton
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial
from sweeps import SMALL, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import read_sweep
from vec2uage.runs.search_record import TrialRecord, read_search
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.search.options import search_options
from vec2uage.sweep.search.pruners import Halving, Median
from vec2uage.sweep.search.search import run_search
from vec2uage.sweep.session import SweepSession

NETWORK = (*SMALL, "model.hidden=[4]", "trainer.device=cpu", "trainer.max_epochs=5", "early_stopping=none")
RATE = "optimizer.lr=tag(log,interval(1e-4,1))"
FEW = ("hydra.sweeper.trials=4", "hydra.sweeper.batch=2", "hydra.sweeper.startup=2")
HALVING = ("pruner=halving", "hydra.sweeper.pruner.epochs=[2,4]")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def search(
    folder: Path, *own: str, sweeper: Sequence[str] = (), runs: Sequence[str] = NETWORK
) -> tuple[TrialRecord, ...]:
    sweep = make_sweep("hydra/sweeper=optuna", *FEW, *sweeper)
    sweep.master.hydra.sweep.dir = str(folder)
    run_search(sweep.context(), sweep.master, print, None, [*runs, *own])
    return trials_of(folder)


def trials_of(folder: Path) -> tuple[TrialRecord, ...]:
    found = read_search(folder)
    assert found is not None
    return found.trials


@pytest.mark.parametrize("name", ["none", "median", "halving"])
def test_every_pruner_of_conf_is_what_its_file_is_called(name: str) -> None:
    read = search_options(make_sweep("hydra/sweeper=optuna", f"pruner={name}").master)
    assert read.pruner.name == name
    assert read.pruner.after == ((5, 10, 20, 40) if name != "none" else ())


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


@pytest.mark.slow
def test_pruned_trials_say_so_everywhere_and_the_others_keep_their_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = "hydra.sweeper.trials=2"
    trials = search(tmp_path / "pruned", RATE, sweeper=[two, *HALVING])
    said = capsys.readouterr().out
    pruned = [trial for trial in trials if trial.status == "pruned"]
    completed = [trial for trial in trials if trial.status == "completed"]
    assert pruned
    assert completed
    assert len(pruned) + len(completed) == 2
    assert f"{len(pruned)} pruned" in said
    of_sweep = {result.name: result for result in read_sweep(tmp_path / "pruned")}
    for trial in pruned:
        for name in trial.runs:
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
    alone = search(tmp_path / "alone", RATE, sweeper=[two])
    both = [(trial, other) for trial, other in zip(trials, alone, strict=False) if trial.status == "completed"]
    assert both, "one of the first batch is always completed"
    for trial, other in both:
        for name, own in zip(trial.runs, other.runs, strict=True):
            for file in ("best.safetensors", "metrics.csv", "predictions.csv"):
                assert (tmp_path / "pruned" / name / file).read_bytes() == (
                    tmp_path / "alone" / own / file
                ).read_bytes()


@pytest.mark.slow
def test_a_pruned_run_is_trained_on_by_those_who_ask_for_more(tmp_path: Path) -> None:
    search(tmp_path, RATE, sweeper=["hydra.sweeper.trials=2", *HALVING])
    ended = [trial.runs for trial in trials_of(tmp_path) if trial.status == "pruned"]
    assert ended
    search(tmp_path, RATE, "resume=changed", sweeper=["hydra.sweeper.trials=2", "resume=changed"])
    assert {trial.status for trial in trials_of(tmp_path)} == {"completed"}
    for name in ended[0]:
        assert RunFolder(tmp_path / name).read_result().epochs == 5


def killed_after(trained: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a search die once it has trained so many times, as a power cut would."""
    train, calls = SweepSession.train, count()

    def dying(self: SweepSession, *given: object) -> object:
        if next(calls) == trained:
            raise MemoryError("no more of this")
        return train(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(SweepSession, "train", dying)


def all_below(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.name in ("metrics.csv", "best.safetensors", "search.json"))
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.slow
def test_what_was_killed_between_any_two_steps_decides_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = search(tmp_path / "a", RATE, sweeper=HALVING)
    for trained in range(1, 6):
        with monkeypatch.context() as patch, suppress(MemoryError):
            killed_after(trained, patch)
            search(tmp_path / "b", RATE, sweeper=HALVING)
            break
    assert trained > 3
    assert search(tmp_path / "b", RATE, sweeper=HALVING) == undisturbed
    assert all_below(tmp_path / "b") == all_below(tmp_path / "a")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert search(tmp_path / "b", RATE, sweeper=HALVING) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == before
    [journal] = [study.trials for study in [optuna_study(tmp_path / "b/study.journal")]]
    states = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    assert [trial.state for trial in journal] == [states[trial.status] for trial in undisturbed]
    assert [trial.intermediate_values for trial in journal] == [trial.at_epochs for trial in undisturbed]


def optuna_study(path: Path) -> optuna.Study:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return optuna.load_study(study_name="search", storage=storage)


@pytest.mark.parametrize(
    ("own", "sweeper", "said"),
    [
        pytest.param(["trainer.checkpoint_every=3"], HALVING, "checkpoint_every", marks=pytest.mark.slow),
        ([], ["pruner=median", "hydra.sweeper.pruner.epochs=[5,5]"], "in order"),
        ([], ["pruner=median", "hydra.sweeper.pruner.startup=0"], "startup"),
        ([], ["pruner=halving", "hydra.sweeper.pruner.reduction=1"], "reduction"),
        ([], [*HALVING, "hydra.sweeper.trials=5"], "multiple of batch"),
        ([], [*HALVING, "hydra.sweeper.objective=[validation/mae,validation/bias]"], "one objective"),
        ([], [*HALVING, "hydra.sweeper.objective=validation/coverage_50"], "every epoch"),
        ([], [*HALVING, "hydra.sweeper.objective=validation/log_score"], "predicts points"),
        (["trainer.max_epochs=2"], HALVING, "no run goes on"),
        (["pruner=median,halving"], [], "nothing to choose"),
    ],
)
def test_what_cannot_be_pruned_is_refused_in_one_sentence(
    tmp_path: Path, own: list[str], sweeper: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said) as refused:
        search(tmp_path, RATE, *own, sweeper=sweeper)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("metrics.csv"))


@pytest.mark.slow
def test_models_without_epochs_are_not_pruned(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model=ridge has no epochs"):
        search(tmp_path, "model.alpha=tag(log,interval(0.1,10))", sweeper=HALVING, runs=[*SMALL, "model=ridge"])


def test_a_search_whose_first_trials_all_fail_ends_with_the_reason_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    path.write_bytes(b"not yet")
    given = ["dataset=vectors", f"dataset.path={path}", "model.hidden=[4]", "trainer.max_epochs=1"]
    with pytest.raises(UserError, match=r"all trials of the first batch failed.*vectors\.npz"):
        search(tmp_path / "sweep", RATE, runs=given)
    assert len(list(tmp_path.rglob("result.json"))) == 2, "those of one batch"
    assert not (tmp_path / "sweep/study.journal").exists()


@pytest.mark.slow
def test_what_pauses_has_the_bits_of_what_trains_through_beside_what_diverges(tmp_path: Path) -> None:
    options = ["optimizer=swa", "lr_finder=range_test", "regularization.dropout=0.2", "regularization.mixup=0.4"]
    sweep = make_sweep()
    few = ["trainer.device=cpu", "trainer.max_epochs=3", "early_stopping=none", *options]
    runs = [[*few, "seed=1"], [*few, "seed=2"], [*few, "seed=3", "lr_finder=none", "optimizer.lr=1e38"]]
    jobs = {name: sweep.jobs(tmp_path / name, runs) for name in ("paused", "through")}
    for epochs in (1, 2):
        results = train_jobs(jobs["paused"], "", until=epochs).results
        jobs["paused"] = [job for job in jobs["paused"] if results[job].status == "running"]
        assert {results[job].epochs for job in jobs["paused"]} == {epochs}
    assert len(jobs["paused"]) == 2, "one has diverged"
    ended = [train_jobs(own, "").results for own in jobs.values()]
    for job, through in zip(jobs["paused"], jobs["through"], strict=False):
        assert ended[0][job].scores == ended[1][through].scores
        for file in ("best.safetensors", "metrics.csv", "predictions.csv"):
            assert (job.folder / file).read_bytes() == (through.folder / file).read_bytes()

"""Training jobs: the same bits alone and together, and one job's end is not another's."""

import errno
import os
import shutil
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from sklearn.base import BaseEstimator, RegressorMixin
from sweeps import Dropping, Sweep
from torch import nn

from vec2uage.base.cores import cores, threads
from vec2uage.base.errors import UserError
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep import calibration, engine, layout
from vec2uage.sweep import plan as plan_module
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.plan import Plan
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import has_ended, prepare_folders
from vec2uage.sweep.state import SweepResult
from vec2uage.training.data import TrainingData
from vec2uage.training.record import Recorder

QUICK = ["trainer.max_epochs=2", "model.hidden=[16]", "trainer.device=cpu"]
FIGURES = ("status", "lr", "epochs", "best_epoch")


class Clumsy(nn.Module):
    """Cannot be built."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        raise RuntimeError("two left hands")


def train(sweep: Sweep, root: Path, overrides: Sequence[Sequence[str]]) -> SweepResult:
    return train_jobs(sweep.jobs(root, overrides), "python -m vec2uage.train")


def figures(folder: Path) -> tuple[object, ...]:
    """What a run's folder says about how well it did: all of result.json's numbers, and the model byte by byte."""
    result = RunFolder(folder).read_result()
    files = [RunFolder(folder).model, RunFolder(folder).predictions, RunFolder(folder).metrics]
    known = [getattr(result, name) for name in FIGURES]
    return (*known, *sorted(result.scores.items()), *(file.read_bytes() for file in files))


def own_model(cls: type[nn.Module]) -> list[str]:
    return [f"model._target_={cls.__module__}.{cls.__qualname__}", "~model.hidden"]


@pytest.mark.parametrize(
    "options",
    [
        QUICK,
        ["trainer.max_epochs=2", "model.hidden=[7,3]", "optimizer=swa", "averaging.start=1", "optimizer.momentum=0.5"],
        ["trainer.max_epochs=1", *own_model(Dropping)],
    ],
    ids=["even", "odd", "dropout"],
)
def test_a_run_has_the_same_bits_alone_and_among_others(sweep: Sweep, tmp_path: Path, options: list[str]) -> None:
    runs = [[*options, f"seed={seed}", f"optimizer.lr={lr}"] for seed, lr in ((3, "1e-2"), (4, "1e-3"), (5, "1e38"))]
    train(sweep, tmp_path / "together", [*runs, [*options, "seed=6"], [*options, "seed=7"]])
    for number, run in enumerate(runs[:2]):
        train(sweep, tmp_path / f"alone{number}", [run])
        assert figures(tmp_path / f"alone{number}/0") == figures(tmp_path / f"together/{number}")
    assert RunFolder(tmp_path / "together/2").read_result().status == "diverged"


def test_neither_stack_size_nor_threads_change_a_number(sweep: Sweep, tmp_path: Path) -> None:
    runs = [[*QUICK, f"seed={seed}"] for seed in range(5)]
    plans = {"one": ["trainer.stack_size=1"], "all": ["trainer.stack_size=5", "trainer.threads=2"], "auto": []}
    for name, plan in plans.items():
        train(sweep, tmp_path / name, [[*run, *plan] for run in runs])
    for number in range(5):
        assert len({figures(tmp_path / name / str(number)) for name in plans}) == 1


def test_the_split_is_the_same_for_all_runs_unless_asked(sweep: Sweep, tmp_path: Path) -> None:
    once = ["trainer.max_epochs=1", "model=linear"]
    train(sweep, tmp_path, [[*once, *own, f"seed={s}"] for own in ([], ["split.seed=run"]) for s in (1, 2)])
    prints = [RunFolder(tmp_path / str(k)).read_result().data_fingerprint for k in range(4)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    names = [(tmp_path / str(k) / "predictions.csv").read_text().split() for k in (2, 3)]
    assert [row.split(",")[0] for row in names[0]] != [row.split(",")[0] for row in names[1]]


@pytest.mark.parametrize(
    ("bad", "first"),
    [
        (own_model(Clumsy), True),
        (own_model(Clumsy), False),
        ([*own_model(Dropping), "trainer.max_epochs=1"], True),
    ],
    ids=["clumsy first", "clumsy last", "dropout first"],
)
def test_what_a_group_is_like_does_not_matter_to_a_calibrated_sweep(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: list[str], first: bool
) -> None:
    """A sweep that is calibrated is measured before it begins, by its first group."""
    monkeypatch.setattr(calibration, "cache_folder", lambda: tmp_path / "cache")
    for name, value in {"_SECONDS": 0.01, "_ROUNDS": 1}.items():
        monkeypatch.setattr(calibration, name, value)
    asked = "trainer.calibrate=true"
    groups = [[[*options, f"seed={seed}", asked] for seed in range(2)] for options in (bad, QUICK)]
    runs = [run for runs in (groups if first else groups[::-1]) for run in runs]
    finished = train(sweep, tmp_path, runs)
    expected = "failed" if "Clumsy" in bad[0] else "completed"
    ended = {job.folder.name: result.status for job, result in finished.results.items()}
    assert [ended[str(k)] for k in range(4)] == [expected if run[: len(bad)] == bad else "completed" for run in runs]


def test_workers_keep_their_threads_whatever_the_others_do() -> None:
    plan = Plan((torch.device("cpu"),) * 2, 1, 1)
    turn, asked = threading.Barrier(2), []

    def ask() -> None:
        turn.wait()
        turn.wait()
        asked.append(torch.get_num_threads())

    with plan_module.worker_pool(plan) as pool:
        asking = pool.submit(ask)
        turn.wait()
        with threads(2):
            turn.wait()
            asking.result()
    assert asked == [1]


def test_one_jobs_failure_is_not_anothers(sweep: Sweep, tmp_path: Path) -> None:
    bad_data, bad_model = ["split.heldout_per_age=500"], own_model(Clumsy)
    finished = train(sweep, tmp_path, [[*QUICK, *bad_data], [*QUICK[:1], *bad_model], QUICK, [*QUICK, "seed=2"]])
    results = [RunFolder(tmp_path / str(k)).read_result() for k in range(4)]
    assert [r.status for r in results] == ["failed", "failed", "completed", "completed"]
    assert "lower split.heldout_per_age" in (results[0].reason or "")
    assert results[1].reason == "RuntimeError: two left hands"
    assert {type(error) for error in finished.errors.values()} == {UserError, RuntimeError}
    assert not finished.interrupted


def test_a_device_that_is_not_there_fails_its_own_job(sweep: Sweep, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    train(sweep, tmp_path, [[*QUICK, "trainer.device=cuda"], QUICK])
    failed, completed = (RunFolder(tmp_path / str(k)).read_result() for k in range(2))
    assert (failed.status, completed.status) == ("failed", "completed")
    assert "no CUDA device" in (failed.reason or "")


def test_why_a_job_trains_alone_is_logged(sweep: Sweep, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger=engine.__name__):
        train(sweep, tmp_path, [["trainer.max_epochs=1", *own_model(Dropping), f"seed={s}"] for s in range(2)])
    assert "one by one: the model draws random numbers" in caplog.text


def test_an_interrupt_ends_all_runs_with_what_they_have(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [["trainer.max_epochs=100000", "trainer.threads=1", "early_stopping=none", f"seed={s}"] for s in range(6)]
    begun = tmp_path / "0" / "metrics.csv"
    ended = threading.Event()

    def interrupt_after_the_first_epoch() -> None:
        while not ended.wait(0.01):
            if begun.is_file() and begun.read_text().count("\n") > 1:
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=interrupt_after_the_first_epoch)
    watcher.start()
    try:
        finished = train(sweep, tmp_path, jobs)
    finally:
        ended.set()
        watcher.join()
    results = [RunFolder(tmp_path / str(k)).read_result() for k in range(6)]
    assert finished.interrupted
    assert {r.status for r in results} == {"interrupted"}
    assert results[0].epochs >= 1
    assert "test/mae" in results[0].scores
    assert RunFolder(tmp_path / "0").checkpoint.is_file()


def test_nothing_to_train_is_nothing_done() -> None:
    assert train_jobs([], "") == SweepResult()


class Large(nn.Module):
    """Says that memory is full when more than `most` runs of it train as one stack, as a GPU would."""

    most = 100
    stacks: ClassVar[list[int]] = []

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out = nn.Linear(in_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x).squeeze(-1)

    def stacked_forward(self, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        if self.training and torch.is_grad_enabled():
            Large.stacks.append(len(x))
        if len(x) > Large.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ((x * state["out.weight"]).sum(-1) + state["out.bias"])[..., None]


def test_a_stack_that_does_not_fit_is_halved_and_changes_no_number(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [["trainer.max_epochs=2", *own_model(Large), "trainer.stack_size=8", f"seed={s}"] for s in range(8)]
    train(sweep, tmp_path / "whole", runs)
    Large.stacks.clear()
    monkeypatch.setattr(Large, "most", 3)
    finished = train(sweep, tmp_path / "halved", runs)
    assert {result.status for result in finished.results.values()} == {"completed"}
    assert "do not fit into memory" in caplog.text
    assert max(Large.stacks) > 3
    for number in range(8):
        assert figures(tmp_path / "halved" / str(number)) == figures(tmp_path / "whole" / str(number))


def test_a_run_that_does_not_fit_alone_fails(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = sweep.jobs(tmp_path, [["trainer.max_epochs=1", *own_model(Large), f"seed={s}"] for s in range(2)])
    train_jobs(jobs, "")  # the trial step of the model passes
    for job in jobs:
        RunFolder(job.folder).clear()
    monkeypatch.setattr(Large, "most", 0)
    finished = train_jobs(jobs, "")
    assert {result.status for result in finished.results.values()} == {"failed"}
    assert all("out of memory" in (result.reason or "") for result in finished.results.values())


class Crowded(Large):
    """Says that memory is full to one of the first two runs of it that train at the same time, as a GPU would."""

    begun = threading.Barrier(2)
    met: ClassVar[set[int]] = set()

    def stacked_forward(self, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        if threading.get_ident() not in Crowded.met and len(Crowded.met) < 2:
            Crowded.met.add(threading.get_ident())
            if Crowded.begun.wait(30) == 0:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return super().stacked_forward(state, x)


def test_a_run_that_does_not_fit_beside_others_trains_after_them(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["trainer.max_epochs=2", *own_model(Crowded), "trainer.stack_size=1", "trainer.threads=1"]
    runs = [[*options, f"seed={s}"] for s in range(4)]
    monkeypatch.setattr(layout, "make_plan", lambda *_: Plan((torch.device("cpu"),) * 2, 1, 1))
    monkeypatch.setattr(Crowded, "met", {1, 2})
    train(sweep, tmp_path / "roomy", runs)
    monkeypatch.setattr(Crowded, "met", set())
    finished = train(sweep, tmp_path / "crowded", runs)
    assert {result.status for result in finished.results.values()} == {"completed"}
    assert caplog.text.count("does not fit into memory beside others") == 1
    for number in range(4):
        assert figures(tmp_path / "crowded" / str(number)) == figures(tmp_path / "roomy" / str(number))


@pytest.mark.slow
def test_data_that_does_not_fit_beside_others_is_loaded_after_them(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, to = [], TrainingData.to

    def crowded(data: TrainingData, device: torch.device) -> TrainingData:
        copied.append(device)
        if len(copied) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return to(data, device)

    monkeypatch.setattr(TrainingData, "to", crowded)
    monkeypatch.setattr(layout, "make_plan", lambda *_: Plan((torch.device("cpu"),) * 2, 1, 1))
    options = ["trainer.max_epochs=300", "early_stopping=none", "model=linear"]
    finished = train(sweep, tmp_path, [[*options, "optimizer=sgd"], [*QUICK, "optimizer=adam"]])
    assert {result.status for result in finished.results.values()} == {"completed"}
    assert len(copied) == 3


class Interrupting(Large):
    """Sends Ctrl-C when one of these files is there."""

    files: ClassVar[list[Path]] = []

    def stacked_forward(self, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        if any(file.exists() for file in Interrupting.files):
            Interrupting.files.clear()  # a second Ctrl-C would stop at once
            os.kill(os.getpid(), signal.SIGINT)
        return super().stacked_forward(state, x)


def test_a_run_that_is_interrupted_before_it_goes_on_keeps_its_epochs(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "make_plan", lambda *_: Plan((torch.device("cpu"),), 1, 1))
    options = ["trainer.max_epochs=1000", "early_stopping=none", *own_model(Interrupting)]
    new, begun = sweep.jobs(tmp_path, [[*options, "optimizer=sgd"], [*options, "optimizer=adam"]])
    Interrupting.files.append(RunFolder(begun.folder).checkpoint)
    epochs = train_jobs([begun], "").results[begun].epochs
    assert epochs > 0
    Interrupting.files.append(RunFolder(begun.folder).checkpoint)
    results = train_jobs([new, begun], "").results
    assert (results[new].status, results[new].epochs) == ("interrupted", 0)
    assert (results[begun].epochs, results[begun].reason) == (epochs, "interrupted before it went on")


def test_every_device_trains_one_stack_at_a_time(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several accelerators share a sweep: here they are the processor under two names."""
    two = (torch.device("cpu", 0), torch.device("cpu"))
    monkeypatch.setattr(layout, "devices_of", lambda trainer: two)
    monkeypatch.setattr(layout, "make_plan", lambda *_: Plan(two, 1, 2))
    runs = [[*QUICK, f"seed={s}"] for s in range(6)]
    train(sweep, tmp_path / "two", runs)
    monkeypatch.undo()
    train(sweep, tmp_path / "one", runs)
    for number in range(6):
        assert figures(tmp_path / "two" / str(number)) == figures(tmp_path / "one" / str(number))


def test_groups_share_gpus_and_each_is_one_stack_on_every_gpu(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [["trainer.max_epochs=1", f"optimizer={name}", f"seed={s}"] for name in ("sgd", "adam") for s in range(4)]
    jobs = sweep.jobs(tmp_path, runs)
    monkeypatch.setattr(layout, "devices_of", lambda trainer: (torch.device("cuda", 0), torch.device("cuda", 1)))
    monkeypatch.setattr(plan_module, "free_bytes", lambda devices: 4 * needed)
    needed = 10**12
    plan = layout.sweep_plan([jobs[:4], jobs[4:]], None)
    assert (plan.groups, plan.workers, plan.room) == (2, 4, needed)
    monkeypatch.setattr(layout, "devices_of", lambda trainer: (torch.device("cpu"),))
    laid_out = layout.lay_out(jobs[:4], plan, 1)
    assert [len(stack) for stack in laid_out.stacks] == [2, 2]
    little = replace(plan, room=laid_out.run_bytes * 3 // 2)
    assert [len(stack) for stack in layout.lay_out(jobs[:4], little, 1).stacks] == [1, 1, 1, 1]


class Heavy(RegressorMixin, BaseEstimator):
    """Takes a gigabyte, as it says, and remembers how many are fitted at a time."""

    now, most, wanted = 0, 0, 1
    changed = threading.Condition()

    def __init__(self, age: float = 9.0) -> None:
        self.age = age

    def fit_bytes(self, rows: int) -> int:
        return 10**9

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Heavy":
        with self.changed:
            Heavy.now += 1
            Heavy.most = max(Heavy.now, Heavy.most)
            self.changed.notify_all()
            self.changed.wait_for(lambda: Heavy.most >= Heavy.wanted, timeout=10)
            self.changed.wait(0.05)  # in which one too many would begin
            Heavy.now -= 1
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.age)


@pytest.mark.slow
def test_no_more_models_are_fitted_at_a_time_than_memory_holds(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "memory_bytes", lambda: 5 * 10**9)
    monkeypatch.setattr(Heavy, "most", 0)
    monkeypatch.setattr(Heavy, "wanted", 2)
    own = ["model=ridge", f"model._target_={__name__}.Heavy", "~model.alpha", "trainer.device=cpu"]
    runs = [["model=ridge", "trainer.device=cpu"], *([*own, f"+model.age={age}"] for age in range(3))]
    jobs = sweep.jobs(tmp_path, runs)
    assert f"about {min(2, cores())}." in preview(jobs, False).partition("memory:")[2]
    result = train_jobs(jobs, "python -m vec2uage.train", cores=3)
    assert {run.status for run in result.results.values()} == {"completed"}
    assert Heavy.most == 2


THREE = [[*QUICK, "trainer.stack_size=3", f"seed={seed}"] for seed in range(3)]


@pytest.fixture(scope="module")
def whole(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What three runs of one stack give that are left in peace."""
    folder = tmp_path_factory.mktemp("whole")
    train(sweep, folder, THREE)
    return [figures(folder / str(number)) for number in range(3)]


def lose(folder: Path, how: str) -> None:
    """Take a run's folder away, or put something else into its place."""
    if how == "replaced":
        folder.rename(folder.with_name("moved away"))
        shutil.copytree(folder.with_name("moved away"), folder)
    elif how == "with its sweep":
        folder.parent.rename(folder.parent.with_name("moved away"))
    else:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("when", "how"),
    [
        ("epoch", "deleted"),
        ("checkpoint", "replaced"),
        ("end", "deleted"),
        ("write_result", "deleted"),
        ("epoch", "with its sweep"),
    ],
)
def test_a_run_whose_folder_is_lost_fails_and_the_others_go_on(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[tuple[object, ...]], when: str, how: str
) -> None:
    jobs = sweep.jobs(tmp_path / "sweep", THREE)
    lost = jobs[1]
    written = RunFolder if when == "write_result" else Recorder
    write = getattr(written, when)

    still_there = [True]

    def lose_then_write(self: RunFolder | Recorder, *what: object) -> object:
        if (self if isinstance(self, RunFolder) else self.folder).path == lost.folder and still_there:
            still_there.clear()
            lose(lost.folder, how)
        return write(self, *what)

    with monkeypatch.context() as patch:
        patch.setattr(written, when, lose_then_write)
        finished = train_jobs(jobs, "", cores=1)  # as one stack
    assert finished.results[lost].status == "failed"
    assert f"{lost.folder} was deleted, moved or replaced" in (finished.results[lost].reason or "")
    if how == "with its sweep":
        assert {result.status for result in finished.results.values()} == {"failed"}
    else:
        for number in (0, 2):
            assert figures(jobs[number].folder) == whole[number]
    assert RunFolder(lost.folder).read_result() == finished.results[lost]
    prepare_folders({job: DictConfig({}) for job in jobs}, True)
    train_jobs([job for job in jobs if not has_ended(job)], "")
    assert [figures(job.folder) for job in jobs] == whole


def test_a_run_that_cannot_be_written_names_the_file(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = sweep.jobs(tmp_path, [[*QUICK, f"seed={seed}"] for seed in range(2)])
    forbidden = RunFolder(jobs[0].folder).predictions

    def touch(path: Path, *args: object, **options: object) -> None:
        if path.parent == forbidden.parent and path.suffix in (".csv", ".json"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        path.open("x").close()

    monkeypatch.setattr(Path, "touch", touch)
    results = train_jobs(jobs, "").results
    assert [results[job].status for job in jobs] == ["failed", "completed"]
    assert results[jobs[0]].reason == f"{RunFolder(jobs[0].folder).data}: Permission denied"

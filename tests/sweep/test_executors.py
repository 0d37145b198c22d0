"""How a sweep is handed out to other processes."""

import dataclasses
import logging
import os
from pathlib import Path

import pytest
from sweeps import Sweep, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.check import executor_of
from vec2uage.sweep.executors.chunks import split_into_chunks, train_chunk
from vec2uage.sweep.executors.submitit_jobs import ChunkTask
from vec2uage.training.learners.registry import learner_of

QUICK = ["trainer.max_epochs=1", "model=linear", "trainer.device=cpu"]


def test_a_cluster_gets_groups_and_not_single_runs(sweep: Sweep, tmp_path: Path) -> None:
    lines = [[*QUICK, f"optimizer={name}", f"seed={seed}"] for name in ("sgd", "adam") for seed in range(40)]
    chunks = split_into_chunks(sweep.jobs(tmp_path, lines), 25)
    assert [len(chunk) for chunk in chunks] == [20, 20, 20, 20]
    assert all(len({learner_of(job.settings).stack_key(job.settings) for job in chunk}) == 1 for chunk in chunks)


def test_a_chunk_that_is_handed_out_again_trains_only_what_has_not_ended(sweep: Sweep, tmp_path: Path) -> None:
    jobs = sweep.jobs(tmp_path, [[*QUICK, f"seed={seed}"] for seed in range(3)])
    train_chunk(jobs[:2], "first", 1, Path.cwd())
    before = [RunFolder(job.folder).result.stat().st_mtime_ns for job in jobs[:2]]
    ChunkTask(jobs, "again", 1)()
    assert [RunFolder(job.folder).result.stat().st_mtime_ns for job in jobs[:2]] == before
    assert RunFolder(jobs[2].folder).read_result().command == "again"


def test_relative_paths_begin_where_the_command_was_typed(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = sweep.jobs(tmp_path / "sweep", [QUICK])
    monkeypatch.chdir("/")
    train_chunk([dataclasses.replace(job, folder=Path("sweep/0"))], "", 1, tmp_path)
    assert RunFolder(job.folder).read_result().status == "completed"


def test_a_chunk_comes_back_after_its_time_is_over(sweep: Sweep, tmp_path: Path) -> None:
    task = ChunkTask(sweep.jobs(tmp_path, [QUICK]), "", 1)
    submitit = pytest.importorskip("submitit")
    again = task.checkpoint()
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function is task


@pytest.mark.parametrize(
    ("executor", "gpus", "seen"), [("local", "2,3", "2,3"), ("local", None, None), ("slurm", "2", "")]
)
def test_a_local_chunk_sees_the_gpus_that_its_parent_sees(
    monkeypatch: pytest.MonkeyPatch, executor: str, gpus: str | None, seen: str | None
) -> None:
    if gpus is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    task = ChunkTask([], "", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", executor)
    task()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen


def test_every_launchers_options_are_valid() -> None:
    launchers = {path.stem for path in Path(conf_dir(), "hydra", "launcher").glob("*.yaml")}
    executors = {type(executor_of(make_sweep(f"hydra/launcher={name}").master)).__name__ for name in launchers}
    assert executors >= {"Executor", "Joblib", "SubmititLocal", "SubmititSlurm", "Ray"}
    assert len(executors) == len(launchers)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("hydra.launcher.executor.timeout_min=0", r"timeout_min = 0.*greater than or equal to 1"),
        ("+hydra.launcher.executor.partitoin=gpu", r"partitoin.*no such option; did you mean partition"),
    ],
)
def test_a_wrong_option_is_named(option: str, told: str) -> None:
    sweep = make_sweep("hydra/launcher=submitit_slurm", option)
    with pytest.raises(UserError, match=told):
        executor_of(sweep.master)


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("submitit").setLevel(logging.ERROR)

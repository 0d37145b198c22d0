"""How a sweep is handed out to other processes."""

import logging
import os
from pathlib import Path

import pytest
from sweeps import Sweep, make_sweep
from vec2uage.sweep.executors.parts import parts, train_part

from vec2uage.base.errors import UserError
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.check import executor_of
from vec2uage.sweep.executors.submitit_jobs import Part

QUICK = ["trainer.max_epochs=1", "model=linear", "trainer.device=cpu"]


def test_a_cluster_gets_groups_and_not_single_runs(sweep: Sweep, tmp_path: Path) -> None:
    lines = [[*QUICK, f"optimizer={name}", f"seed={seed}"] for name in ("sgd", "adam") for seed in range(40)]
    pieces = parts(sweep.jobs(tmp_path, lines), 25)
    assert [len(piece) for piece in pieces] == [20, 20, 20, 20]
    assert all(len({job.settings.stack_key() for job in piece}) == 1 for piece in pieces)


def test_a_part_that_is_handed_out_again_trains_only_what_has_not_ended(sweep: Sweep, tmp_path: Path) -> None:
    jobs = sweep.jobs(tmp_path, [[*QUICK, f"seed={seed}"] for seed in range(3)])
    train_part(jobs[:2], "first", 1)
    before = [RunFolder(job.folder).result.stat().st_mtime_ns for job in jobs[:2]]
    Part(jobs, "again", 1)()
    assert [RunFolder(job.folder).result.stat().st_mtime_ns for job in jobs[:2]] == before
    assert RunFolder(jobs[2].folder).read_result().command == "again"


def test_a_part_comes_back_after_its_time_is_over(sweep: Sweep, tmp_path: Path) -> None:
    part = Part(sweep.jobs(tmp_path, [QUICK]), "", 1)
    submitit = pytest.importorskip("submitit")
    again = part.checkpoint()
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function is part


@pytest.mark.parametrize(
    ("executor", "gpus", "seen"), [("local", "2,3", "2,3"), ("local", None, None), ("slurm", "2", "")]
)
def test_a_local_part_sees_the_gpus_that_its_parent_sees(
    monkeypatch: pytest.MonkeyPatch, executor: str, gpus: str | None, seen: str | None
) -> None:
    if gpus is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    part = Part([], "", 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", executor)
    part()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen


@pytest.mark.parametrize("launcher", ["fused", "joblib", "submitit_local", "submitit_slurm", "ray"])
def test_every_launchers_options_are_valid(launcher: str) -> None:
    sweep = make_sweep(f"hydra/launcher={launcher}")
    assert type(executor_of(sweep.master)).__name__.lower().startswith(launcher.split("_")[0].replace("fused", "exec"))


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

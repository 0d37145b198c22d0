"""Data that are not there refuse a sweep before its first run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import DictConfig
from sweeps import Sweep

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import Dataset, VectorFile
from vec2uage.data.prepared import Prepared
from vec2uage.data.readers import READERS
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data
from vec2uage.sweep.compose import ComposedJob
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.resume import match_existing


def reading(sweep: Sweep, folder: Path, datasets: Sequence[Dataset]) -> list[Job]:
    """Jobs of a sweep that read these."""
    jobs = sweep.jobs(folder, [[f"seed={seed}"] for seed in range(len(datasets))])
    return [
        dataclasses.replace(job, settings=dataclasses.replace(job.settings, dataset=dataset))
        for job, dataset in zip(jobs, datasets, strict=True)
    ]


def finish(job: Job, folder: Path) -> None:
    """Leave the result of a job's run in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"name": folder.name, "seed": 0, "optimizer": "adam", "model": "m", "dataset": "d"}
    RunFolder(folder).write_result(RunResult(status="completed", config_hash=job.settings.config_hash, **names))


def vectors(path: str) -> VectorFile:
    return VectorFile(path=path)


def test_all_that_is_missing_is_told_at_once(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "notes.doc").touch()
    prepared = Prepared(path=f"{tmp_path}/set")
    lost = reading(
        sweep, tmp_path, [vectors("gone.npz"), vectors("gone.npz"), vectors(f"{tmp_path}/notes.doc"), prepared]
    )
    with pytest.raises(UserError) as refused:
        check_data(lost, True)
    assert str(refused.value).splitlines() == [
        "3 things that the runs read are not there:",
        "  gone.npz: no such file",
        f"  {tmp_path}/notes.doc: no reader for '.doc' files; known are {', '.join(READERS)}",
        f"  {tmp_path}/set: no such folder (dataset.path); vec2uage.prepare makes one",
    ]


def test_what_has_ended_needs_its_data_only_to_be_trained_anew(sweep: Sweep, tmp_path: Path) -> None:
    lost = reading(sweep, tmp_path, [vectors("gone.npz")])
    finish(lost[0], lost[0].folder)
    check_data(lost, True)
    check_data(lost, "changed")
    with pytest.raises(UserError, match=r"gone\.npz: no such file"):
        check_data(lost, False)


def test_a_grid_that_has_grown_finds_its_runs_again(sweep: Sweep, tmp_path: Path) -> None:
    first, moved, new, taken = sweep.jobs(tmp_path, [[f"seed={seed}"] for seed in range(4)])
    finish(first, first.folder)
    finish(first, tmp_path / "copy")  # its own folder comes first
    finish(moved, tmp_path / "earlier number")
    finish(taken, new.folder)  # where another job of the grid belongs
    finish(new, tmp_path / "another sweep" / "0")
    found = match_existing([ComposedJob((), DictConfig({}), job) for job in (first, moved, new, taken)], tmp_path)
    folders = [first.folder, tmp_path / "earlier number", new.folder, taken.folder]
    assert [item.job.folder for item in found] == folders
    assert [item.job.settings for item in found] == [job.settings for job in (first, moved, new, taken)]

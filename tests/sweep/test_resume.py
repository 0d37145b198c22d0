"""What is kept, what goes on and what is refused when jobs find something in their folders."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from sweeps import SMALL, Sweep

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.validate import to_container
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult, Status
from vec2uage.sweep import resume
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.resume import FolderConflict, prepare_folders

QUICK = ["trainer.max_epochs=2", "model.hidden=[8]", "trainer.device=cpu"]


def jobs_of(sweep: Sweep, folder: Path, *own: str, seeds: int = 2) -> dict[Job, object]:
    """Jobs with their configurations, which lie in their folders as a launcher would have left them."""
    composer = Composer(sweep.loader, sweep.master)
    lines = [[*QUICK, *own, f"seed={seed}"] for seed in range(seeds)]
    found = {}
    for number, job in enumerate(sweep.jobs(folder, lines)):
        found[job] = composer.job([*SMALL, *lines[number]], number)
        RunFolder(job.folder).config.write_text(yaml.dump(to_container(found[job])))
    return found


def in_folders_of(jobs: dict[Job, object], others: dict[Job, object]) -> dict[Job, object]:
    """The jobs `others` in the folders of `jobs`."""
    pairs = zip(jobs, others.items(), strict=True)
    return {dataclasses.replace(other, folder=job.folder): cfg for job, (other, cfg) in pairs}


def end(job: Job, status: Status) -> None:
    known = {"config_hash": job.settings.config_hash, "code": resume.code_fingerprint()}
    names = {"name": job.folder.name, "seed": 0, "optimizer": "adam", "model": "m", "dataset": "d"}
    RunFolder(job.folder).write_result(RunResult(status=status, **(names | known)))


@pytest.fixture
def trained(sweep: Sweep, tmp_path: Path) -> dict[Job, object]:
    jobs = jobs_of(sweep, tmp_path)
    train_jobs(list(jobs), "")
    return jobs


def test_what_has_ended_is_kept(trained: dict[Job, object]) -> None:
    before = {path: path.read_bytes() for job in trained for path in job.folder.iterdir()}
    ended = prepare_folders(trained, True)
    assert ended.keys() == trained.keys()
    assert [result.status for result in ended.values()] == ["completed"] * 2
    assert {path: path.read_bytes() for job in trained for path in job.folder.iterdir()} == before


def test_what_failed_or_was_interrupted_before_its_first_epoch_begins_anew(sweep: Sweep, tmp_path: Path) -> None:
    jobs = jobs_of(sweep, tmp_path)
    failed, interrupted = jobs
    end(failed, "failed")
    end(interrupted, "interrupted")
    assert prepare_folders(jobs, True) == {}
    assert not any(RunFolder(job.folder).result.exists() for job in jobs)


def test_other_options_are_refused_by_name_unless_told_otherwise(
    sweep: Sweep, tmp_path: Path, trained: dict[Job, object]
) -> None:
    other = in_folders_of(trained, jobs_of(sweep, tmp_path / "other", "optimizer.lr=0.5"))
    with pytest.raises(
        FolderConflict, match=r"\(optimizer\.lr: 0\.0001 there, 0\.5 now\), and so does 1 other folder; "
    ):
        prepare_folders(other, True)
    assert len(prepare_folders(other, "changed")) == 2


def test_another_version_of_the_code_is_refused(trained: dict[Job, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "code_fingerprint", lambda: "new")
    with pytest.raises(UserError, match=r"by another version of vec2uage \(code \w{16}, now new\)"):
        prepare_folders(trained, True)


def test_other_data_are_refused(sweep: Sweep, tmp_path: Path, trained: dict[Job, object]) -> None:
    for job in trained:
        result = RunFolder(job.folder).read_result()
        RunFolder(job.folder).write_result(dataclasses.replace(result, data_fingerprint="of yesterday"))
    with pytest.raises(UserError, match=r"holds a run made on other data, and so does 1 other folder; "):
        prepare_folders(trained, True)
    assert len(prepare_folders(trained, "changed")) == 2


def test_all_are_trained_anew_when_asked(trained: dict[Job, object]) -> None:
    (next(iter(trained)).folder / "notes.txt").write_text("mine")
    assert prepare_folders(trained, False) == {}
    left = {path.name for job in trained for path in job.folder.iterdir()}
    assert left == {"notes.txt", "config.yaml", "overrides.yaml"}, "what the runs are to be, and what is not theirs"


def test_a_damaged_result_is_not_thrown_away_unasked(trained: dict[Job, object]) -> None:
    job = next(iter(trained))
    RunFolder(job.folder).result.write_text("{")
    with pytest.raises(UserError, match=r"result\.json.*no valid result.*resume=false"):
        prepare_folders(trained, True)
    assert RunFolder(job.folder).result.read_text() == "{"
    assert prepare_folders(trained, False) == {}


def test_a_damaged_state_is_reported_and_the_run_begins_anew(
    sweep: Sweep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = jobs_of(sweep, tmp_path)
    for job in jobs:
        RunFolder(job.folder).checkpoint.write_bytes(b"")
    assert prepare_folders(jobs, True) == {}
    assert caplog.text.count("without it the run begins anew") == 2
    assert not any(RunFolder(job.folder).checkpoint.exists() for job in jobs)
    train_jobs(list(jobs), "")
    assert {RunFolder(job.folder).read_result().status for job in jobs} == {"completed"}


def test_what_an_earlier_version_began_is_not_thrown_away_unasked(sweep: Sweep, tmp_path: Path) -> None:
    jobs = jobs_of(sweep, tmp_path, seeds=1)
    (job,) = jobs
    for name in ("state.safetensors", "metrics.csv"):
        (job.folder / name).write_text("of the earlier version")
    with pytest.raises(FolderConflict, match=r"an earlier version .* has begun.*resume=false trains anew"):
        prepare_folders(jobs, "changed")
    assert RunFolder(job.folder).metrics.read_text() == "of the earlier version"
    assert prepare_folders(jobs, False) == {}


def test_what_is_refused_leaves_no_folder(sweep: Sweep, tmp_path: Path, trained: dict[Job, object]) -> None:
    job, cfg = next(iter(jobs_of(sweep, tmp_path / "other", "optimizer.lr=0.5", seeds=1).items()))
    changed, new = (dataclasses.replace(job, folder=path) for path in (next(iter(trained)).folder, tmp_path / "new"))
    with pytest.raises(UserError, match="another configuration"):
        prepare_folders({new: cfg, changed: cfg}, True)
    assert not new.folder.exists()


def test_a_file_in_the_way_is_the_users_mistake(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ((job, cfg),) = jobs_of(sweep, tmp_path / "jobs", seeds=1).items()
    for way in ("file", "file/run"):
        with pytest.raises(FolderConflict, match="a file is in the way"):
            prepare_folders({dataclasses.replace(job, folder=tmp_path / way): cfg}, True)

"""What is kept, what goes on and what is refused when jobs find something in their folders."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml
from sweeps import SMALL, Sweep

from vec2uage.base.digest import without_digest
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.validate import to_container
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult, Status
from vec2uage.sweep import resume
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.resume import FolderConflict, has_ended, prepare_folders, resumable
from vec2uage.training import checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.record import Recorder

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


def copies(jobs: dict[Job, object], folder: Path) -> dict[Job, object]:
    """The same jobs and all that lies in their folders, below another one."""
    for job in jobs:
        shutil.copytree(job.folder, folder / job.folder.name)
    return {dataclasses.replace(job, folder=folder / job.folder.name): cfg for job, cfg in jobs.items()}


@pytest.fixture(scope="module")
def trained_once(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> dict[Job, object]:
    jobs = jobs_of(sweep, tmp_path_factory.mktemp("trained"))
    train_jobs(list(jobs), "")
    return jobs


@pytest.fixture
def trained(trained_once: dict[Job, object], tmp_path: Path) -> dict[Job, object]:
    return copies(trained_once, tmp_path)


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


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("result.json", b""),
        ("result.json", b'{"status": "comp'),
        ("result.json", b"\xff\xfe"),
        ("best.safetensors", None),
        ("predictions.csv", b"name,subject,age,prediction\n"),
        ("metrics.csv", b""),
        ("config.yaml", b"seed: 1"),
    ],
)
def test_a_run_that_is_no_longer_whole_is_trained_again_and_the_others_are_kept(
    trained: dict[Job, object], caplog: pytest.LogCaptureFixture, file: str, content: bytes | None
) -> None:
    damaged, other = trained
    before = everything(damaged.folder)
    if content is None:
        (damaged.folder / file).unlink()
    else:
        (damaged.folder / file).write_bytes(content)
    assert [has_ended(job) for job in trained] == [False, True]
    assert prepare_folders(trained, True).keys() == {other}
    (told,) = caplog.messages
    assert str(damaged.folder / file) in told
    assert "trained again" in told
    train_jobs([damaged], "")
    assert everything(damaged.folder) == before


@pytest.mark.parametrize("earlier", ["without scores", "a folder"])
def test_what_is_no_damage_is_not_thrown_away_unasked(trained: dict[Job, object], earlier: str) -> None:
    file = RunFolder(next(iter(trained)).folder).result
    if earlier == "a folder":
        file.unlink()
        file.mkdir()
    else:
        known = without_digest(json.loads(file.read_text()))
        file.write_text(json.dumps({key: value for key, value in known.items() if key != "scores"}))
    for resume_option in (True, "changed"):
        with pytest.raises(FolderConflict, match=r"result\.json"):
            prepare_folders(trained, resume_option)
    assert file.exists()


def everything(folder: Path) -> dict[str, object]:
    """All that a run leaves behind, but for when and how long it was trained."""
    result = dataclasses.asdict(RunFolder(folder).read_result())
    apart = ("seconds", "started", "command", "files")
    names = ("metrics.csv", "best.safetensors", "predictions.csv", "data.csv")
    return {k: v for k, v in result.items() if k not in apart} | {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def begun(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], dict[Job, object]]:
    """What a run of five epochs leaves, and a folder as a kill after the third leaves it."""
    jobs = jobs_of(sweep, tmp_path_factory.mktemp("begun"), "trainer.max_epochs=5", "early_stopping=none", seeds=1)
    (job,) = jobs
    folder, write, kept = RunFolder(job.folder), Recorder.checkpoint, []

    def keep(self: Recorder, state: checkpoint.Checkpoint, data: TrainingData) -> None:
        write(self, state, data)
        kept.append(folder.checkpoint.read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "checkpoint", keep)
        train_jobs([job], "")
    undisturbed = everything(job.folder)
    folder.clear_end()
    folder.checkpoint.write_bytes(kept[2])
    return undisturbed, jobs


@pytest.mark.parametrize(
    ("rows", "goes_on"),
    [
        ("0 1 2", True),
        ("0 1 2 3", True),  # a kill came between the row and the checkpoint
        ("0 1 2 half", True),
        ("0 1", False),
        ("0 1 half", False),
        ("0 2 2", False),
        ("0 0 1 2", False),
        ("0 1 edited", False),
        ("", False),
    ],
)
def test_a_run_goes_on_where_checkpoint_and_metrics_agree_or_begins_anew(
    begun: tuple[dict[str, bytes], dict[Job, object]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    rows: str,
    goes_on: bool,
) -> None:
    undisturbed, left = begun
    jobs = copies(left, tmp_path)
    (job,) = jobs
    folder = RunFolder(job.folder)
    whole = undisturbed["metrics.csv"].decode().splitlines()
    known = {str(epoch): row for epoch, row in enumerate(whole[1:])}
    known |= {"half": "3,0.00", "edited": whole[3].replace("5", "6")}
    lines = [whole[0], *(known[row] for row in rows.split())]
    assert "edited" not in rows or known["edited"] != whole[3]
    folder.metrics.write_text("\n".join(lines) + "\n" * ("half" not in rows))
    assert resumable([job]).keys() == ({job} if goes_on else set())
    prepare_folders(jobs, True)
    assert ("begins anew" in caplog.text) is not goes_on
    assert folder.checkpoint.exists() is goes_on
    train_jobs([job], "")
    assert everything(job.folder) == undisturbed


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

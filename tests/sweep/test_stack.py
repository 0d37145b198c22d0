"""Stacks of completed runs: what they say, their file, and which members they refuse."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import DictConfig
from scipy.stats import norm
from sweeps import SMALL, Sweep

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.config.hydra.composer import Composer
from vec2uage.data.balance import AgeWeights
from vec2uage.data.loading import load_parts
from vec2uage.data.parts import Parts
from vec2uage.evaluation.ensemble import open_ensemble
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.base import Prediction
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data
from vec2uage.sweep.compose import settings_of
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import FolderConflict, prepare_folders
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import load
from vec2uage.training.learners.registry import READERS
from vec2uage.training.learners.stacking import StackingLearner
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stacking.members import completed_runs, open_members
from vec2uage.training.stacking.model import Member, StackingModel

ASIS = Foreign(normalization="none", encoder=None)
NETWORK = ("trainer.max_epochs=1", "model.hidden=[8]", "trainer.device=cpu")
RUNS = {
    "nets/0": (*NETWORK, "head=gaussian", "seed=0"),
    "nets/1": (*NETWORK, "head=gaussian", "seed=1"),
    "ridge": ("model=ridge", "normalization=standardize"),
    "forest": ("model=random_forest", "model.n_estimators=2", "augmentation.train_per_age=10"),
}


def composed(sweep: Sweep, folder: Path, *own: str) -> tuple[Job, DictConfig]:
    """Compose the run of some options."""
    cfg = Composer(sweep.loader, sweep.master).job([*SMALL, *own], 0)
    return Job(settings_of(cfg)[0], folder), cfg


def train(sweep: Sweep, folder: Path, *own: str) -> tuple[Job, RunResult]:
    """Train the run of some options, or return what is there; raise what went wrong."""
    job, cfg = composed(sweep, folder, *own)
    check_data([job], True)
    if ended := prepare_folders({job: cfg}, True):
        return job, ended[job]
    done = train_jobs([job], "")
    if job in done.errors:
        raise done.errors[job]
    return job, done.results[job]


def of(members: Sequence[Path | str], *options: str) -> list[str]:
    """The options of a stack of some runs."""
    return ["model=stack", "model.members=[" + ",".join(f'"{member}"' for member in members) + "]", *options]


def copied(runs: Path, name: str, to: Path) -> RunFolder:
    """A run once more, to be changed."""
    shutil.copytree(runs / name, to)
    return RunFolder(to)


@pytest.fixture(scope="module")
def runs(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with completed runs."""
    root = tmp_path_factory.mktemp("members")
    jobs = dict(composed(sweep, root / name, *options) for name, options in RUNS.items())
    prepare_folders(jobs, True)
    done = train_jobs(list(jobs), "")
    assert [result.status for result in done.results.values()] == ["completed"] * len(RUNS)
    elsewhere = copied(root, "ridge", root / "elsewhere")
    elsewhere.config.write_text(elsewhere.config.read_text().replace("missing_ages: refuse\n  seed: 0", "seed: 1"))
    other = {"config_hash": "other", "overrides": ["model=ridge", "split.seed=1"]}
    elsewhere.write_result(replace(elsewhere.read_result(), **other))
    return root


@pytest.fixture(scope="module")
def stacked(sweep: Sweep, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, RunResult]:
    """A stack of members of all kinds."""
    members = [runs / name for name in ("nets", "ridge", "forest")]
    return train(sweep, tmp_path_factory.mktemp("stacked"), *of(members))


@pytest.fixture(scope="module")
def own(stacked: tuple[Job, RunResult]) -> RunSettings:
    """The settings of the run of a stack, of which `stack_of` makes those of others."""
    return stacked[0].settings


def stack_of(own: RunSettings, *members: Path | str, weights: str = "fitted") -> RunSettings:
    """The settings of a stack of some members."""
    options = {"members": tuple(map(str, members)), "weights": weights, "trust_code": False}
    return replace(own, model=Component(own.model.target, tuple(sorted(options.items()))))


class Ends:
    """Watches runs end that have no epochs."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}

    def interrupted(self) -> bool:
        return False

    def epoch(self, run: int, epoch: Epoch) -> None:
        raise AssertionError("an epoch")

    def checkpoint(self, run: int, checkpoint: Checkpoint) -> None:
        raise AssertionError("a checkpoint")

    def end(self, run: int, outcome: Outcome) -> None:
        self.outcomes[run] = outcome


def parts_of(run: RunSettings) -> Parts:
    return load_parts(run.dataset, run.split, run.augmentation, run.split_seed)


def predicted(folder: Path, part: str, job: Job) -> Prediction:
    """What the model of a run says of a part of the data of a job."""
    return open_ensemble([RunFolder(folder).model], ASIS).predict(parts_of(job.settings)[part].vectors)


def test_a_stack_says_the_weighted_mixture_of_its_members(stacked: tuple[Job, RunResult], runs: Path) -> None:
    job, result = stacked
    assert result.status == "completed"
    assert (result.model, result.optimizer, result.epochs) == ("stack", None, 0)
    weights = {Path(member.path).parent.relative_to(runs).as_posix(): member.weight for member in result.members}
    assert weights.keys() == {"nets/0", "nets/1", "ridge", "forest"}
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["nets/0"] == weights["nets/1"]  # of one seed or the other: one member
    ages = np.linspace(-5, 30, 9)[:, None] * np.ones(len(predicted(runs / "ridge", "test", job)))
    points = predicted(runs / "ridge", "validation", job).mean.astype(np.float64)
    true = parts_of(job.settings)["validation"].ages
    spread = np.sqrt(np.square(points - true).mean())
    expected = weights["ridge"] * norm.cdf(ages, predicted(runs / "ridge", "test", job).mean, spread)
    for name in ("nets/0", "nets/1", "forest"):
        expected = expected + weights[name] * predicted(runs / name, "test", job).cdf(ages)
    np.testing.assert_allclose(predicted(job.folder, "test", job).cdf(ages), expected, atol=0.002)


@pytest.mark.slow
def test_the_weights_are_fitted_to_the_validation_faces(
    stacked: tuple[Job, RunResult], own: RunSettings, runs: Path
) -> None:
    job, fitted = stacked
    observer = Ends()
    equal = stack_of(own, runs / "nets", runs / "ridge", runs / "forest", weights="equal")
    StackingLearner().fit([equal], load(equal, torch.device("cpu")), torch.device("cpu"), observer)
    assert [member.weight for member in observer.outcomes[0].members] == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    assert fitted.scores["validation/crps"] < observer.outcomes[0].scores["validation/crps"]
    true = parts_of(own)["validation"].ages
    alone = [predicted(runs / name, "validation", job).crps(true).mean() for name in ("nets/0", "forest")]
    assert fitted.scores["validation/crps"] < min(alone)


def test_its_file_gives_the_same_bits_again_and_takes_a_calibration(
    stacked: tuple[Job, RunResult], tmp_path: Path
) -> None:
    job, _ = stacked
    model = open_ensemble([RunFolder(job.folder).model], ASIS)
    first = predicted(job.folder, "test", job)
    model.save(tmp_path / "again.stack", {"threshold": 1})
    (tmp_path / "config.yaml").write_text((job.folder / "config.yaml").read_text())
    again = open_ensemble([tmp_path / "again.stack"], ASIS)
    assert again.calibration == {"threshold": 1}
    assert again.digest == model.digest
    vectors = parts_of(job.settings)["test"].vectors
    assert np.array_equal(again.predict(vectors).median, first.median)
    both = model.joined([model])
    np.testing.assert_allclose(both.predict(vectors).mean, first.mean, rtol=1e-6)


def test_what_a_member_holds_is_trusted_no_more_within_a_stack(stacked: tuple[Job, RunResult], tmp_path: Path) -> None:
    job, _ = stacked
    lone = tmp_path / "lone.stack"
    shutil.copy(RunFolder(job.folder).model, lone)  # trees are built in a run folder only
    with pytest.raises(UserError, match=r"Tree.*run folder only"):
        open_ensemble([lone], ASIS)


@pytest.fixture
def plain(own: RunSettings, runs: Path, tmp_path: Path) -> Path:
    """The file of a stack whose members may be read anywhere."""
    found = [file for _, file in open_members(stack_of(own, runs / "nets/0", runs / "ridge"), parts_of(own))]
    members = tuple(Member((file,), 0.5, spread) for file, spread in zip(found, (None, 3.0), strict=True))
    StackingModel(members, found[0].model.encoder).save(tmp_path / "plain.stack")
    return tmp_path / "plain.stack"


def rewritten(path: Path, changes: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in (contents | changes).items():
            archive.writestr(name, content)


def described(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        found = json.loads(archive.read("stack.json"))
    found.pop("digest")
    return found


def crafted(path: Path) -> Iterator[Callable[[], object]]:
    """Ways to damage a file, or to make a hostile one."""
    known = described(path)
    members = known["members"]
    assert isinstance(members, list)
    yield lambda: path.write_bytes(path.read_bytes()[:-300])
    yield lambda: path.write_bytes(b"no archive")
    yield lambda: rewritten(path, {"../../evil.skops": b"x"})
    yield lambda: rewritten(path, {"stack.json": b"["})
    yield lambda: rewritten(path, {"stack.json": b"{}"})
    yield lambda: rewritten(path, {}, zipfile.ZIP_DEFLATED)
    yield lambda: rewritten(path, {"0.safetensors": b"other bytes"})
    for wrong in (
        {"name": "../x.skops", "config": None},
        {"name": "0.stack", "config": None},
        {"name": "9.skops", "config": None},
    ):
        changed = known | {"members": [members[0] | {"files": [wrong]}, members[1]]}
        yield lambda changed=changed: rewritten(path, {"stack.json": json.dumps(changed).encode()})
    for weight in (0, -1, 2, "nan"):
        changed = known | {"members": [members[0] | {"weight": weight}, members[1]]}
        yield lambda changed=changed: rewritten(path, {"stack.json": json.dumps(changed).encode()})
    for dimension in (0, 7):
        changed = known | {"dimension": dimension}
        yield lambda changed=changed: rewritten(path, {"stack.json": json.dumps(changed).encode()})


def test_damaged_and_hostile_files_are_refused(plain: Path) -> None:
    whole = plain.read_bytes()
    reader = READERS[StackingModel.suffix]
    reader.open(plain, None)
    for damage in crafted(plain):
        plain.write_bytes(whole)
        damage()
        with pytest.raises(UserError, match=r"plain\.stack"):
            reader.open(plain, None)
    with pytest.raises(UserError, match="no such file"):
        reader.open(plain.parent / "nothing.stack", None)


def test_members_that_cannot_be_are_refused_before_anything_is_trained(
    stacked: tuple[Job, RunResult], own: RunSettings, runs: Path, tmp_path: Path
) -> None:
    lone = shutil.copy(runs / "ridge/best.skops", tmp_path / "lone.skops")
    wrong: dict[str, Path | str] = {
        "no such file": runs / "nothing",
        "no folder of a run": lone,
        "no member of a stack": stacked[0].folder,
        "no model or folder": f"{runs}/*none*",
    }
    for message, member in wrong.items():
        job = Job(stack_of(own, runs / "ridge", member), tmp_path / "new")
        with pytest.raises(UserError, match=message):
            check_data([job], True)


def test_members_of_other_splits_data_or_bytes_are_refused(own: RunSettings, runs: Path, tmp_path: Path) -> None:
    def refused(member: Path, message: str, run: RunSettings = own) -> None:
        with pytest.raises(UserError, match=message):
            open_members(stack_of(run, runs / "ridge", member), parts_of(run))

    refused(runs / "elsewhere", r"elsewhere.*another split.*validation")
    with_calibration = replace(own, split=replace(own.split, calibration_per_age=2))
    refused(runs / "ridge", r"another split.*calibration", with_calibration)

    diverged = copied(runs, "ridge", tmp_path / "diverged")
    diverged.write_result(replace(diverged.read_result(), status="diverged", reason="no number"))
    refused(diverged.path, "no completed run but diverged, no number")

    changed = copied(runs, "ridge", tmp_path / "changed")
    changed.model.write_bytes(changed.model.read_bytes() + b"x")
    refused(changed.path, r"best\.skops has changed")

    of_other_data = copied(runs, "ridge", tmp_path / "data")
    of_other_data.write_result(replace(of_other_data.read_result(), data_fingerprint="0"))
    refused(of_other_data.path, "its data have changed")

    foreign = copied(runs, "ridge", tmp_path / "foreign")
    config = foreign.read_config()
    config["split"]["_target_"] = "evil.Split"
    foreign.config.write_text(yaml.dump(config))
    foreign.write_result(foreign.read_result())
    refused(foreign.path, r"evil\.Split.*trust_code")


def test_of_a_sweep_the_runs_of_the_same_split_are_taken(own: RunSettings, runs: Path) -> None:
    def taken(seed: int) -> list[str]:
        run = stack_of(replace(own, split=replace(own.split, seed=seed)), f"{runs}/*e*")
        return [member.path.parent.name for member in completed_runs(run)]

    assert sorted(taken(0)) == ["0", "1", "forest", "ridge"]
    assert taken(1) == ["elsewhere"]
    with pytest.raises(UserError, match=r"no completed run of split\.seed=2"):
        taken(2)


@pytest.mark.slow
def test_a_stack_is_kept_as_long_as_its_members_are_the_same(sweep: Sweep, runs: Path, tmp_path: Path) -> None:
    member, options = tmp_path / "member", of([runs / "nets", tmp_path / "member"])
    shutil.copytree(runs / "ridge", member)
    _, first = train(sweep, tmp_path / "stack", *options)
    _, again = train(sweep, tmp_path / "stack", *options)
    assert again == first
    shutil.rmtree(member)
    train(sweep, member, "model=ridge", "model.alpha=9")
    with pytest.raises(FolderConflict, match=r"of other models \(model\.members"):
        train(sweep, tmp_path / "stack", *options)
    shutil.rmtree(member)
    assert train(sweep, tmp_path / "stack", *options)[1] == first  # it holds all that it needs


def test_a_run_that_is_named_twice_counts_once(own: RunSettings, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(runs / "nets")
    twice = stack_of(own, runs / "nets/0", tmp_path / "link")
    assert [member.path.parent.name for member in completed_runs(twice)] == ["0", "1"]


def test_training_faces_count_by_their_weights(own: RunSettings, runs: Path) -> None:
    """So do they in the scores of any other model."""
    run, observer = replace(stack_of(own, runs / "ridge"), augmentation=AgeWeights()), Ends()
    StackingLearner().fit([run], load(run, torch.device("cpu")), torch.device("cpu"), observer)
    train = parts_of(run)["train"]
    errors = np.abs(predicted(runs / "ridge", "train", Job(run, runs)).median - train.ages)
    found = observer.outcomes[0].scores["train/mae"]
    assert found == pytest.approx(np.average(errors, weights=AgeWeights().weights(train)), rel=1e-4)
    assert found != pytest.approx(errors.mean(), rel=1e-3)


def test_a_plan_is_told(own: RunSettings, runs: Path, tmp_path: Path) -> None:
    assert "1 of 1 runs to train" in preview([Job(stack_of(own, runs / "ridge"), tmp_path)], True)


@pytest.mark.slow
def test_options_without_effect_or_sense_are_refused(sweep: Sweep, runs: Path, tmp_path: Path) -> None:
    for option in ("normalization=none", "head=gaussian", "model.weights=best", "model.members=[]"):
        with pytest.raises(UserError, match=option.partition("=")[0]):
            composed(sweep, tmp_path, *of([runs]), option)
    with pytest.raises(UserError, match=r"model\.members is missing"):
        composed(sweep, tmp_path, "model=stack")

"""Stacks of completed runs: what they say, their file, and which members they refuse."""

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from sweeps import SMALL, Sweep

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.validate import to_container
from vec2uage.data.loading import load_parts
from vec2uage.evaluation.ensemble import open_ensemble
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.base import Prediction
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import FolderConflict, prepare_folders
from vec2uage.training.learners.registry import READERS
from vec2uage.training.stacking.model import StackingModel

ASIS = Foreign(normalization="none", encoder=None)
NETWORK = ("trainer.max_epochs=2", "model.hidden=[8]", "trainer.device=cpu")
FOREST = ("model=random_forest", "model.n_estimators=3")
RUNS = {
    "nets/0": (*NETWORK, "head=gaussian", "seed=0"),
    "nets/1": (*NETWORK, "head=gaussian", "seed=1"),
    "ridge": ("model=ridge", "normalization=standardize"),
    "forest": (*FOREST, "augmentation.train_per_age=10"),
    "elsewhere": ("model=ridge", "split.seed=1"),
}

Make = Callable[..., tuple[Job, RunResult]]


def train(sweep: Sweep, folder: Path, *own: str) -> tuple[Job, RunResult]:
    """Train the run of some options, or return what is there; raise what went wrong."""
    composer = Composer(sweep.loader, sweep.master)
    job = dataclasses.replace(sweep.jobs(folder / "jobs", [own])[0], folder=folder)
    shutil.rmtree(folder / "jobs")
    check_data([job], True)
    if ended := prepare_folders({job: composer.job([*SMALL, *own], 0)}, True):
        return job, ended[job]
    done = train_jobs([job], "")
    if job in done.errors:
        raise done.errors[job]
    return job, done.results[job]


@pytest.fixture(scope="module")
def runs(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with completed runs."""
    root = tmp_path_factory.mktemp("members")
    for name, options in RUNS.items():
        _, result = train(sweep, root / name, *options)
        assert result.status == "completed"
    return root


@pytest.fixture
def stack(sweep: Sweep, tmp_path: Path) -> Make:
    """Combine runs: `stack([paths], "model.weights=equal", into="name")`."""

    def make(members: list[Path | str], *options: str, into: str = "stack") -> tuple[Job, RunResult]:
        named = ",".join(f'"{member}"' for member in members)
        return train(sweep, tmp_path / into, "model=stack", f"model.members=[{named}]", *options)

    return make


@pytest.fixture(scope="module")
def stacked(sweep: Sweep, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, RunResult]:
    """A stack of members of all kinds."""
    named = ",".join(f'"{runs / name}"' for name in ("nets", "ridge", "forest"))
    return train(sweep, tmp_path_factory.mktemp("stacked"), "model=stack", f"model.members=[{named}]")


def predicted(folder: Path, part: str, job: Job) -> Prediction:
    """What the model of a run says of a part of the data of a job."""
    run = job.settings
    vectors = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)[part].vectors
    return open_ensemble([RunFolder(folder).model], ASIS).predict(vectors)


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
    run = job.settings
    true = load_parts(run.dataset, run.split, run.augmentation, 0)["validation"].ages
    spread = np.sqrt(np.square(points - true).mean())
    from scipy.stats import norm

    expected = weights["ridge"] * norm.cdf(ages, predicted(runs / "ridge", "test", job).mean, spread)
    for name in ("nets/0", "nets/1", "forest"):
        expected = expected + weights[name] * predicted(runs / name, "test", job).cdf(ages)
    np.testing.assert_allclose(predicted(job.folder, "test", job).cdf(ages), expected, atol=1e-6)


def test_the_weights_are_fitted_to_the_validation_faces(
    stacked: tuple[Job, RunResult], stack: Make, runs: Path
) -> None:
    _, fitted = stacked
    job, equal = stack([runs / "nets", runs / "ridge", runs / "forest"], "model.weights=equal")
    assert [member.weight for member in equal.members] == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    assert fitted.scores["validation/crps"] < equal.scores["validation/crps"]
    alone = [predicted(runs / name, "validation", job) for name in ("nets/0", "forest")]
    true = load_parts(job.settings.dataset, job.settings.split, job.settings.augmentation, 0)["validation"].ages
    assert fitted.scores["validation/crps"] < min(each.crps(true).mean() for each in alone)


def test_its_file_gives_the_same_bits_again_and_takes_a_calibration(
    stacked: tuple[Job, RunResult], tmp_path: Path
) -> None:
    job, _ = stacked
    model = open_ensemble([RunFolder(job.folder).model], ASIS)
    first = predicted(job.folder, "test", job)
    model.save(tmp_path / "again.stack", {"threshold": 1})
    assert model.predict(np.zeros((0, model.dimension), np.float32)).mean.shape == (0,)
    (tmp_path / "config.yaml").write_text((job.folder / "config.yaml").read_text())
    again = open_ensemble([tmp_path / "again.stack"], ASIS)
    assert again.calibration == {"threshold": 1}
    assert again.digest == model.digest
    run = job.settings
    vectors = load_parts(run.dataset, run.split, run.augmentation, 0)["test"].vectors
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
def plain(stack: Make, runs: Path) -> Path:
    """The file of a stack whose members may be read anywhere."""
    job, _ = stack([runs / "nets/0", runs / "ridge"])
    return shutil.copy(RunFolder(job.folder).model, job.folder.parent / "plain.stack")


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


def test_members_that_cannot_be_are_refused_before_anything_is_trained(stack: Make, runs: Path) -> None:
    shutil.copy(runs / "ridge/best.skops", runs / "lone.skops")
    job, _ = stack([runs / "ridge"])
    wrong = {
        "no such file": runs / "nothing",
        "no folder of a run": runs / "lone.skops",
        "no member of a stack": job.folder,
        "no model or folder": f"{runs}/*none*",
    }
    for message, member in wrong.items():
        with pytest.raises(UserError, match=message):
            stack([runs / "ridge", member], into="refused")
    (runs / "lone.skops").unlink()


def copied(runs: Path, name: str, to: Path) -> RunFolder:
    shutil.copytree(runs / name, to)
    return RunFolder(to)


def test_members_of_other_splits_data_or_bytes_are_refused(stack: Make, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"elsewhere.*another split.*validation"):
        stack([runs / "ridge", runs / "elsewhere"], into="a")
    with pytest.raises(UserError, match=r"another split.*calibration"):
        stack([runs / "ridge"], "split.calibration_per_age=2", into="b")

    diverged = copied(runs, "ridge", tmp_path / "diverged")
    diverged.write_result(dataclasses.replace(diverged.read_result(), status="diverged", reason="no number"))
    with pytest.raises(UserError, match=r"no completed run but diverged, no number"):
        stack([diverged.path], into="c")

    changed = copied(runs, "ridge", tmp_path / "changed")
    changed.model.write_bytes(changed.model.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"best\.skops has changed"):
        stack([changed.path], into="d")

    of_other_data = copied(runs, "ridge", tmp_path / "data")
    of_other_data.write_result(dataclasses.replace(of_other_data.read_result(), data_fingerprint="0"))
    with pytest.raises(UserError, match="its data have changed"):
        stack([of_other_data.path], into="e")

    foreign = copied(runs, "ridge", tmp_path / "foreign")
    config = foreign.read_config()
    config["split"]["_target_"] = "evil.Split"
    foreign.config.write_text(yaml.dump(config))
    foreign.write_result(foreign.read_result())
    with pytest.raises(UserError, match=r"evil\.Split.*trust_code"):
        stack([foreign.path], into="f")


def test_of_a_sweep_the_runs_of_the_same_split_are_taken(stack: Make, runs: Path) -> None:
    _, result = stack([f"{runs}/*e*"])  # ridge, elsewhere, nets, forest
    assert len(result.members) == 4
    _, other = stack([runs], "split.seed=1", into="other")
    assert [Path(member.path).parent.name for member in other.members] == ["elsewhere"]
    with pytest.raises(UserError, match=r"no completed run of split\.seed=2"):
        stack([runs], "split.seed=2", into="none")


def test_a_stack_is_kept_as_long_as_its_members_are_the_same(
    stack: Make, sweep: Sweep, runs: Path, tmp_path: Path
) -> None:
    member = tmp_path / "member"
    shutil.copytree(runs / "ridge", member)
    _, first = stack([runs / "nets", member])
    _, again = stack([runs / "nets", member])
    assert again == first
    shutil.rmtree(member)
    train(sweep, member, "model=ridge", "model.alpha=9")
    with pytest.raises(FolderConflict, match=r"of other models \(model\.members\)"):
        stack([runs / "nets", member])


def test_a_plan_and_a_refusal_of_options_without_effect(sweep: Sweep, runs: Path, tmp_path: Path) -> None:
    job = sweep.jobs(tmp_path, [["model=stack", f"model.members=[{runs / 'ridge'}]"]])[0]
    assert "1 of 1 runs to train" in preview([job], True)
    for option in ("normalization=none", "head=gaussian", "model.weights=best", "model.members=[]"):
        with pytest.raises(UserError, match=option.partition("=")[0]):
            sweep.jobs(tmp_path / option, [["model=stack", f"model.members=[{runs}]", option]])
    with pytest.raises(UserError, match=r"model\.members is missing"):
        to_container(Composer(sweep.loader, sweep.master).job([*SMALL, "model=stack"], 0))

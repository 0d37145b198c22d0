"""The commands of the README, as a user types them, in a folder of the user's own."""

import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from terminal import Terminal

from vec2uage.runs.index import read_sweep
from vec2uage.runs.result import RunResult

SMALL = ["dataset.size=small", "split.heldout_per_age=20", "augmentation.train_per_age=50", "trainer.max_epochs=2"]
ALONE = ["trainer.threads=1", "trainer.stack_size=1"]  # leaves no speed to be measured
RUN_FILES = {"config.yaml", "metrics.csv", "best.safetensors", "predictions.csv", "data.csv", "result.json"}
SWEEP = ["-m", *SMALL[:1], *SMALL[2:], "optimizer=sgd,swa", "seed=range(2)", "split.heldout_per_age=20,400"]


def result_of(terminal: Terminal, folder: str | Path) -> RunResult:
    return RunResult.from_json((terminal.folder / folder / "result.json").read_text())


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("home"))


# one run


@pytest.fixture(scope="module")
def first(terminal: Terminal) -> subprocess.CompletedProcess[str]:
    return terminal.run("train", *SMALL, "hydra.run.dir=run")


def test_a_run_leaves_all_it_should(terminal: Terminal, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0
    names = {path.name for path in (terminal.folder / "run").iterdir()}
    assert names >= RUN_FILES
    assert any(name.startswith("events.out.tfevents.") for name in names)
    result = result_of(terminal, "run")
    assert (result.status, result.reason, result.seed, result.optimizer) == ("completed", None, 1, "adam")
    assert (result.model, result.dataset, result.lr, result.epochs) == ("vec2uage", "synthetic", 1e-4, 2)
    assert result.parameters == 427_009
    empty = [f.name for f in fields(result) if getattr(result, f.name) in (None, "", {}, [])]
    assert empty == ["reason", "members"]
    assert {"torch", "numpy", "hydra-core", "git_commit", "python"} <= result.provenance.keys()


def test_a_run_ends_with_a_table_and_where_to_look(first: subprocess.CompletedProcess[str]) -> None:
    lines = first.stdout.splitlines()
    assert lines[0] == "completed"
    assert [line.split()[0] for line in lines[2:5]] == ["train", "validation", "test"]
    assert "run:     run" in lines
    assert "curves:  tensorboard --logdir run" in lines
    assert first.stderr.count("epoch ") == 2


def test_the_recorded_command_and_config_tell_what_was_run(
    terminal: Terminal, first: subprocess.CompletedProcess[str]
) -> None:
    result = result_of(terminal, "run")
    assert result.command == " ".join(["python", "-m", "vec2uage.train", *SMALL, "hydra.run.dir=run"])
    assert result.overrides == SMALL
    assert "heldout_per_age: 20" in (terminal.folder / "run/config.yaml").read_text()


def test_predictions_reproduce_the_test_error(terminal: Terminal, first: subprocess.CompletedProcess[str]) -> None:
    with (terminal.folder / "run/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 180
    assert list(rows[0]) == ["name", "subject", "age", "prediction"]
    errors = [abs(float(row["prediction"]) - float(row["age"])) for row in rows]
    assert np.mean(errors) == pytest.approx(result_of(terminal, "run").scores["test/mae"], rel=1e-6)


def test_the_same_command_does_no_work_twice(terminal: Terminal, first: subprocess.CompletedProcess[str]) -> None:
    before = (terminal.folder / "run/result.json").read_bytes()
    again = terminal.run("train", *SMALL, "hydra.run.dir=run")
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert again.stdout == first.stdout
    assert (terminal.folder / "run/result.json").read_bytes() == before


@pytest.mark.slow
def test_a_run_of_another_configuration_is_not_replaced_unasked(
    terminal: Terminal, first: subprocess.CompletedProcess[str]
) -> None:
    changed = [*SMALL, "hydra.run.dir=run", "seed=2"]
    refused = terminal.run("train", *changed)
    assert refused.returncode == 1
    assert "another configuration (seed: 1 there, 2 now)" in refused.stderr
    assert "resume=false trains anew" in refused.stderr
    assert result_of(terminal, "run").seed == 1
    assert terminal.run("train", *changed, "resume=false").returncode == 0
    assert result_of(terminal, "run").seed == 2


# a grid


@pytest.fixture(scope="module")
def grid(terminal: Terminal) -> subprocess.CompletedProcess[str]:
    """Eight jobs, four of which ask for more held-out rows than there are."""
    return terminal.run("train", *SWEEP, "hydra.sweep.dir=fused")


def jobs(terminal: Terminal, folder: str) -> dict[str, RunResult]:
    found = sorted((terminal.folder / folder).glob("*/result.json"))
    return {path.parent.name: result_of(terminal, path.parent) for path in found}


def test_a_failing_job_does_not_stop_the_others(terminal: Terminal, grid: subprocess.CompletedProcess[str]) -> None:
    results = jobs(terminal, "fused")
    assert len(results) == 8
    assert results.keys() >= {"000_optimizer=sgd,seed=0,heldout_per_age=20"}
    for result in results.values():
        failed = "split.heldout_per_age=400" in result.overrides
        assert result.status == ("failed" if failed else "completed")
    for name, result in results.items():
        if result.status == "completed":
            assert {path.name for path in (terminal.folder / "fused" / name).iterdir()} >= RUN_FILES


def test_a_grid_ends_with_a_table_reasons_and_exit_code(
    terminal: Terminal, grid: subprocess.CompletedProcess[str]
) -> None:
    assert grid.returncode == 1
    results = [r for r in jobs(terminal, "fused").values() if r.status == "completed"]
    lines = {line.split()[0]: line.split() for line in grid.stdout.splitlines() if line.strip()}
    for optimizer in ("sgd", "swa"):
        tests = [r.scores["test/mae"] for r in results if r.optimizer == optimizer]
        assert f"{np.mean(tests):.3f}" in lines[optimizer]
        assert f"{min(tests):.3f}" in lines[optimizer]
    best = min(results, key=lambda r: r.scores["validation/mae"])
    assert f"best by validation: {best.name}" in grid.stdout
    assert "4 of 8 runs did not complete" in grid.stdout
    assert (grid.stdout + grid.stderr).count("lower split.heldout_per_age") == 1
    assert grid.stderr.splitlines()[-1] == "error: 4 of 8 runs did not complete"
    assert "tensorboard --logdir fused" in grid.stdout


def test_a_grid_is_collected_in_one_table(terminal: Terminal, grid: subprocess.CompletedProcess[str]) -> None:
    with (terminal.folder / "fused/sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["name"]: row["status"] for row in rows} == {n: r.status for n, r in jobs(terminal, "fused").items()}
    for row in rows:
        value = result_of(terminal, Path("fused") / row["name"]).scores.get("validation/mae")
        assert row["validation/mae"] == ("" if value is None else repr(value))


def test_runs_show_in_tensorboard(terminal: Terminal, grid: subprocess.CompletedProcess[str]) -> None:
    for name, result in jobs(terminal, "fused").items():
        if result.status != "completed":
            continue
        events = EventAccumulator(str(terminal.folder / "fused" / name)).Reload()
        assert set(events.Tags()["scalars"]) >= {"train/loss", "validation/loss", "train/mae", "validation/mae", "lr"}
        losses = [event.value for event in events.Scalars("validation/loss")]
        assert len(losses) == result.epochs
        assert losses[result.best_epoch] == pytest.approx(result.scores["validation/loss"])


@pytest.mark.slow
def test_a_refused_job_of_a_sweep_of_single_runs_leaves_the_others_their_table(terminal: Terminal) -> None:
    sweep = ["-m", *SMALL, "hydra/launcher=basic", "hydra.sweep.dir=basics", "hydra.sweep.subdir=${seed}"]
    assert terminal.run("train", *sweep, "seed=1", "optimizer.lr=0.5").returncode == 0
    done = terminal.run("train", *sweep, "seed=2,1")
    assert done.returncode == 1
    assert "holds a run made with another configuration" in done.stderr
    assert "seed=2,1" in (terminal.folder / "basics/multirun.yaml").read_text()
    assert {result.name for result in read_sweep(terminal.folder / "basics")} == {"1", "2"}


@pytest.mark.slow
def test_an_option_that_the_default_choice_lacks_is_given_to_the_jobs(terminal: Terminal) -> None:
    command = ["-m", "optimizer=sgd,swa", "optimizer.momentum=0.9", *SMALL]
    done = terminal.run("train", *command, *ALONE)
    assert done.returncode == 0, done.stderr
    (folder,) = (terminal.folder / "outputs/sweeps").glob("optimizer=sgd,swa,momentum=0.9,*")
    assert {path.name for path in folder.glob("*/")} >= {"000_optimizer=sgd", "001_optimizer=swa"}
    result = result_of(terminal, folder / "000_optimizer=sgd")
    assert result.command == " ".join(["python", "-m", "vec2uage.train", *command, *ALONE])
    assert "optimizer.momentum=0.9" in result.overrides
    assert "momentum: 0.9" in (folder / "001_optimizer=swa/config.yaml").read_text()
    assert "max_epochs: 2" in (folder / "multirun.yaml").read_text()
    assert "averaging.start = 5 of 2 epochs: the weights of 0 are averaged" in done.stderr
    refused = terminal.run("train", *command, "optimizer=sgd,adam", "plan=true")
    assert refused.stderr.startswith("error: 1 of 2 jobs, such as optimizer=adam: optimizer.momentum = 0.9: no such")


@pytest.mark.slow
def test_launchers_give_the_same_bits(terminal: Terminal, grid: subprocess.CompletedProcess[str]) -> None:
    process = terminal.start("train", *SWEEP, "hydra/launcher=basic", "hydra.sweep.dir=basic")  # its own hash seed
    process.communicate()
    assert process.returncode == 1
    fused, one_by_one = jobs(terminal, "fused"), jobs(terminal, "basic")
    assert fused.keys() == one_by_one.keys()
    apart = {"seconds", "command", "started"}
    for name, result in fused.items():
        for field in fields(result):
            if field.name not in apart:
                assert getattr(result, field.name) == getattr(one_by_one[name], field.name), field.name
        for file in ("best.safetensors", "predictions.csv", "metrics.csv"):
            if result.status == "completed":
                stacked, alone = (terminal.folder / launcher / name / file for launcher in ("fused", "basic"))
                assert stacked.read_bytes() == alone.read_bytes()


def test_a_finished_job_of_a_grid_is_not_trained_again(
    terminal: Terminal, grid: subprocess.CompletedProcess[str]
) -> None:
    files = sorted((terminal.folder / "fused").glob("*heldout_per_age=20/best.safetensors"))
    before = [file.stat().st_mtime_ns for file in files]
    again = terminal.run("train", *SWEEP, "hydra.sweep.dir=fused")
    assert again.returncode == 1
    assert "4 of 8 runs have ended before and are kept" in again.stderr
    assert [file.stat().st_mtime_ns for file in files] == before


# mistakes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["optimizer.lrr=1"], "error: optimizer.lrr = 1: no such option; did you mean lr? allowed are: beta1, "),
        (
            ["optimizer=adamm"],
            "error: optimizer = adamm: no such choice; did you mean adam? allowed are: adagrad, adam, ",
        ),
        (["dataset=null"], "error: a config group is set to the name of one of its choices"),
        (["seed=[1"], "error: seed = '[1': should be a whole number"),
        (["--config-dir", "nowhere"], "nowhere' not found"),
        (["optimizer.lr=fast"], "error: optimizer.lr = 'fast': should be a number"),
        (["resume=perhaps"], "error: resume = 'perhaps': should be true, false or 'changed'"),
        (["dataset=vectors", "dataset.path=gone.npz"], "error: gone.npz: no such file"),
        (["hydra.run.dir=/proc/nowhere"], "error: /proc/nowhere: No such file or directory"),
        (["-m", "seed=1,two"], "error: 1 of 2 jobs, such as seed=two: seed = 'two': should be a"),
        (
            ["-m", "optimizer=sgd,sdg"],
            "jobs, such as optimizer=sdg: optimizer = sdg: no such choice; did you mean sgd? ",
        ),
        (["experiment=visage", "optimizer.momentm=1"], "error: optimizer.momentm = 1: no such option; did you mean"),
        (["optimizer=sgd,adam"], "error: optimizer=sgd,adam: several values are a grid, which needs -m"),
        (["seed=range(3)"], "error: seed=range(3): several values are a grid, which needs -m"),
        (["optimizer", "sgd"], "error: optimizer: options are set as key=value"),
        (["quality=none"], "error: quality: no such option or group of this command"),
        (["-m", "seed=interval(0,1)"], "needs hydra/sweeper=optuna"),
        (["-m", "seed=1,2", "hydra.sweeper.max_batch_size=1"], "error: hydra.sweeper.max_batch_size = 1: a grid is"),
        (["-m", "seed=1,2", "trainer.profile=true"], "error: trainer.profile = true: stacks have no profile"),
        (["-m", "seed=1,2", "resume=perhaps"], "error: resume = 'perhaps': should be"),
        (["-m", "seed=range(0)"], "error: the sweep has no jobs"),
        (["group=none"], "error: group = none: no such option; did you mean split.group?"),
        (["dataset.path=a=b"], "error: dataset.path = 'a=b': no such option; it is one of dataset=prepared"),
        (["lr_finder=range_test", "lr_finder.steps=21"], "error: lr_finder: steps=21 leaves nothing to read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_sentence(
    terminal: Terminal, here: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], told: str
) -> None:
    done = here(terminal.folder, "train", *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["plan=true"], 0),
        (["trainer.threads=0"], 1),
        (["-m", "seed=1,2", "plan=true", *ALONE], 0),
        (["-m", "optimizer=sgd,swa", "optimizer.momentum=0.9", "plan=true", *ALONE], 0),
        (["-m", "seed=1,2", "plan=true", "hydra/launcher=basic", *ALONE], 0),
        (["-m", "seed=1,2", "trainer.threads=0"], 1),
        (["-m", "seed=1,2", "hydra/launcher=submitit_local", "hydra.launcher.executor.timeout_min=0"], 1),
        (["-m", "seed=1,2", "augmentation=published"], 1),
        (["augmentation=published"], 1),
    ],
    ids=[
        "planned run",
        "refused run",
        "planned sweep",
        "planned sweep of an option that the default choice lacks",
        "planned for one by one",
        "refused sweep",
        "refused launcher",
        "faces not made",
        "faces not made for one run",
    ],
)
def test_what_is_not_trained_leaves_no_folder(terminal: Terminal, options: list[str], code: int) -> None:
    folders = ["hydra.run.dir=untrained", "hydra.sweep.dir=untrained"]
    assert terminal.run("train", *options, *SMALL, *folders).returncode == code
    assert not (terminal.folder / "untrained").exists()


@pytest.mark.parametrize("multirun", [[], ["-m"]], ids=["run", "sweep"])
def test_a_plan_leaves_the_users_own_folders_alone(tmp_path: Path, multirun: list[str]) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    for folder in ("link", "."):
        folders = [f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}"]
        assert Terminal(tmp_path).run("train", *multirun, *SMALL, "plan=true", *folders).returncode == 0
    assert (tmp_path / "link").is_dir()


@pytest.mark.slow
def test_a_trained_sweep_that_is_planned_or_refused_stays_as_it_was(terminal: Terminal) -> None:
    sweep, folder = ["-m", *SMALL, "seed=1,2", "hydra.sweep.dir=trained"], terminal.folder / "trained"
    assert terminal.run("train", *sweep).returncode == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for option, code in {"plan=true": 0, "optimizer.lr=0.5": 1, "trainer.threads=0": 1}.items():
        assert terminal.run("train", *sweep, option).returncode == code
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before, option


# Ctrl-C


@pytest.mark.slow
def test_ctrl_c_keeps_what_there_is(terminal: Terminal) -> None:
    endless = [*SMALL[:3], "trainer.threads=1", "trainer.max_epochs=1000000", "early_stopping=none", "model.hidden=[]"]
    single = terminal.start("train", *endless, "hydra.run.dir=stopped")
    several = terminal.start("train", "-m", *endless, "seed=range(3)", "hydra.sweep.dir=stopped_grid")
    # With two workers one run of the grid has not begun yet or shares a stack: what has begun is kept.
    began = [(single, "stopped/metrics.csv"), (several, "stopped_grid/000_seed=0/metrics.csv")]
    for process, metrics in began:
        deadline = time.monotonic() + 60
        while not (path := terminal.folder / metrics).is_file() or path.read_text().count("\n") < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for process, _ in began:
        process.send_signal(signal.SIGINT)
    for process, _ in began:
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in out + err
        assert "interrupted" in out
    for folder in ("stopped", "stopped_grid/000_seed=0"):
        result = result_of(terminal, folder)
        assert result.status == "interrupted"
        assert result.epochs >= 2
        assert "test/mae" in result.scores
        assert (terminal.folder / folder / "best.safetensors").is_file()
    statuses = {result.status for result in jobs(terminal, "stopped_grid").values()}
    assert statuses == {"interrupted"}
    assert len(jobs(terminal, "stopped_grid")) == 3


# a user's own parts

OWN_CODE = """
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from vec2uage.config.settings import settings
from vec2uage.data.dataset import Dataset
from vec2uage.data.vectorset import VectorSet, make_vector_set
from vec2uage.training.optimizers.base import StackedOptimizer, expand_per_run


class Residual(nn.Module):
    def __init__(self, in_features: int, width: int):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(in_features, width), nn.Tanh(), nn.Linear(width, in_features))
        self.out = nn.Linear(in_features, 1)

    def forward(self, x):
        return self.out(x + self.inner(x))


class SignDescent(torch.optim.Optimizer):
    def __init__(self, params, lr: float, shrink: float = 1.0):
        super().__init__(params, {"lr": lr, "shrink": shrink})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(group["shrink"]).sub_(group["lr"] * p.grad.sign())


@settings
class StackedSign(StackedOptimizer):
    shrink: float = 1.0
    per_run: ClassVar[tuple[str, ...]] = ("lr", "shrink")

    @torch.no_grad()
    def step(self, options, params, grads, state, lr):
        for name, p in params.items():
            p.mul_(expand_per_run(options["shrink"], p)).sub_(expand_per_run(lr, p) * grads[name].sign())


@settings
class Circles(Dataset):
    rows_per_age: int

    def read(self) -> VectorSet:
        rng = np.random.default_rng(0)
        ages = np.repeat(np.arange(1, 11), self.rows_per_age) + 0.5
        angles = ages / 6 + rng.normal(0, 0.05, len(ages))
        noise = rng.normal(0, 0.05, (len(ages), 6))
        return make_vector_set(np.column_stack([np.cos(angles), np.sin(angles), noise]), ages, encoder="circles")
"""
OWN_CONF = {
    "model/residual": "_target_: own_parts.Residual\nwidth: 8\n",
    "optimizer/sign": "_target_: own_parts.SignDescent\nlr: 0.01\nshrink: 0.999\n",
    "optimizer/stacked_sign": "_target_: own_parts.StackedSign\nlr: 0.01\nshrink: 0.999\n",
    "dataset/circles": "_target_: own_parts.Circles\nrows_per_age: 40\n",
}


@pytest.mark.slow
def test_a_users_own_parts_work_from_a_folder_of_their_own(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    own = terminal.folder / "own"
    for name, text in OWN_CONF.items():
        (own / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (own / "conf" / f"{name}.yaml").write_text(text)
    (own / "own_parts.py").write_text(OWN_CODE)
    monkeypatch.setitem(terminal.environment, "PYTHONPATH", str(own))
    chosen = ["model=residual", "dataset=circles", "augmentation=none", "trainer.max_epochs=30", "normalization=none"]
    chosen += ["split.age_range=[1,10]", "split.heldout_per_age=10"]
    grid = ["-m", "--config-dir", "own/conf", *chosen, "optimizer=sign,stacked_sign", "seed=range(2)"]
    done = terminal.run("train", *grid, "hydra.sweep.dir=own_grid")
    assert done.returncode == 0, done.stderr
    results = jobs(terminal, "own_grid")
    assert {(r.model, r.dataset, r.encoder) for r in results.values()} == {("residual", "circles", "circles")}
    assert sorted((r.optimizer, r.seed) for r in results.values()) == [
        ("sign", 0), ("sign", 1), ("stacked_sign", 0), ("stacked_sign", 1),
    ]  # fmt: skip
    assert all(r.scores["test/mae"] < 2.0 for r in results.values())
    for seed in range(2):  # two spellings of one algorithm
        one, other = (r.scores["test/mae"] for r in results.values() if r.seed == seed)
        assert one == pytest.approx(other, rel=1e-4)

    wrong = terminal.run("train", "--config-dir", "own/conf", *chosen, "optimizer=sign", "+model.widht=3")
    assert wrong.returncode == 1
    assert "error: model.widht = 3: no such option; did you mean width?" in wrong.stderr

    searched = terminal.run("train", "--cfg", "job", f"hydra.searchpath=[file://{own}/conf]", "model=residual")
    assert searched.returncode == 0, searched.stderr
    assert "_target_: own_parts.Residual" in searched.stdout


# finding out what is wrong


@pytest.mark.slow
def test_debug_overfit_drives_the_loss_of_one_batch_to_zero(terminal: Terminal) -> None:
    assert terminal.run("train", "debug=overfit", "hydra.run.dir=overfit").returncode == 0
    result = result_of(terminal, "overfit")
    assert result.scores["train/mae"] < 0.05
    assert len({result.scores[f"{part}/loss"] for part in ("train", "validation", "test")}) == 1


@pytest.mark.slow
def test_debug_profile_trains_two_epochs_and_writes_a_profile(terminal: Terminal) -> None:
    assert terminal.run("train", "debug=profile", "hydra.run.dir=profile").returncode == 0
    assert result_of(terminal, "profile").epochs == 2
    assert "aten::" in (terminal.folder / "profile/profile.txt").read_text()
    assert json.loads((terminal.folder / "profile/profile.json").read_text())["traceEvents"]


@pytest.mark.slow
def test_debug_fast_runs_everything_in_seconds(terminal: Terminal) -> None:
    assert terminal.run("train", "debug=fast", "hydra.run.dir=fast").returncode == 0
    assert result_of(terminal, "fast").epochs == 2


@pytest.mark.slow
def test_the_embedded_default_lands_near_the_papers_error(terminal: Terminal) -> None:
    # its best epoch is the third; early stopping would train for ten more
    assert terminal.run("train", "trainer.max_epochs=3", "hydra.run.dir=near").returncode == 0
    assert 2.2 < result_of(terminal, "near").scores["test/mae"] < 2.8
    with (terminal.folder / "near/predictions.csv").open(newline="") as file:
        rows = np.array([(float(row["age"]), float(row["prediction"])) for row in csv.DictReader(file)])
    errors, ages = np.abs(rows[:, 1] - rows[:, 0]), np.floor(rows[:, 0])
    by_age = {age: errors[ages == age].mean() for age in range(1, 19)}
    assert by_age[14] < by_age[16] < by_age[17] < by_age[18] == max(by_age.values())

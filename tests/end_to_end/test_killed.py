"""Nothing is lost: sweeps killed at any moment, again and again, end with the bits of one that was left in peace."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from terminal import Terminal, context

from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import read_sweep
from vec2uage.runs.result import RunResult
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.resume import prepare_folders
from vec2uage.training import checkpoint
from vec2uage.training.run_settings import from_config

SMALL = ["dataset.size=small", "split.heldout_per_age=20", "augmentation.train_per_age=20", "model.hidden=[32,16]"]
# Range test, plateau, averages and early stopping all have a state of their own.
OPTIONS = ["lr_schedule.patience=1", "trainer.max_epochs=12", "early_stopping.patience=4"]
RANGE_TEST = ["lr_finder=range_test", "lr_finder.steps=40"]
SWEEP = ["-m", *SMALL, "optimizer=swa,adam", "seed=range(2)", *OPTIONS, *RANGE_TEST]


class Machine:
    """A folder in which `python -m vec2uage.train` is typed, and what all of its commands print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = folder / "output"

    def start(self, *arguments: str) -> BaseProcess:
        return Terminal(self.folder).fork("train", *arguments, out=self.printed, err=self.printed, daemon=True)

    def run(self, *arguments: str) -> int:
        process = self.start(*arguments)
        process.join(120)
        assert process.exitcode is not None, self.output()
        return process.exitcode

    def output(self) -> str:
        return self.printed.read_text()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def undisturbed(machine: Machine) -> tuple[Path, float]:
    """A sweep that is left in peace, and how long it took."""
    machine.run("-m", *SMALL, "trainer.max_epochs=1", "hydra.sweep.dir=warm")
    began = time.monotonic()
    assert machine.run(*SWEEP, "hydra.sweep.dir=undisturbed") == 0, machine.output()
    folder = machine.folder / "undisturbed"
    assert len({result.epochs for result in read_sweep(folder)}) > 1, "no run stopped early: the test shows less"
    return folder, time.monotonic() - began


def everything(folder: Path) -> dict[str, object]:
    """All that a run leaves behind, bit for bit, except when and how long it was trained, and with which command."""
    result = RunFolder(folder).read_result()
    assert (folder / "best.safetensors").is_file()
    assert (folder / "predictions.csv").is_file()
    apart = ("seconds", "started", "command")
    left = {path.name for path in folder.iterdir() if not path.name.startswith("events.")}
    return {
        **{f.name: getattr(result, f.name) for f in fields(RunResult) if f.name not in apart},
        **{name: (folder / name).read_bytes() for name in left - {"result.json"}},
        "files": left,
    }


def kill(process: BaseProcess, folder: Path, number: int) -> None:
    """End a sweep by a signal, and see that no run that had ended was touched and none has lost more than an epoch."""
    ended: dict[Path, int] = {}
    with contextlib.suppress(FileNotFoundError):  # one of an interrupted run, which has just been taken up
        for path in folder.glob("*/result.json"):
            if '"completed"' in path.read_text():
                ended[path] = path.stat().st_mtime_ns
    os.kill(process.pid or 0, number)
    process.join(30)
    for path, before in ended.items():
        assert path.stat().st_mtime_ns == before, "a run that had ended was touched"
    for metrics in folder.glob("*/metrics.csv"):
        run, rows = RunFolder(metrics.parent), metrics.read_text().count("\n") - 1
        if not run.result.exists() and rows > 1:
            assert checkpoint.read_header(run.checkpoint).epochs >= rows - 1, "more than one epoch is lost"


def kill_until_done(machine: Machine, name: str, seconds: float, dice: random.Random, most: int) -> int:
    """Give the same command again and again, each time killed at a random moment; return how often that was."""
    folder = machine.folder / name
    command = (*SWEEP, f"hydra.sweep.dir={name}")
    for kills in range(most):
        process = machine.start(*command)
        process.join(dice.uniform(0, seconds))
        if process.exitcode is not None:
            assert process.exitcode == 0, machine.output()
            return kills
        number = dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        kill(process, folder, number)
        # 0 and 1: it had just ended by itself, or had not begun to listen
        assert process.exitcode in (0, 1, 130, -number), machine.output()
    assert machine.run(*command) == 0, machine.output()
    return most


def check_killed_sweeps(machine: Machine, undisturbed: tuple[Path, float], kills: int, seed: int) -> None:
    whole, seconds = undisturbed
    dice, sweeps = random.Random(seed), 0
    while kills > 0:
        sweeps += 1
        name = f"killed{seed}_{sweeps}"
        kills -= kill_until_done(machine, name, seconds, dice, min(kills, 6))
        for run in whole.glob("*/"):
            assert everything(machine.folder / name / run.name) == everything(run), f"{name}/{run.name}"
        assert [r.status for r in read_sweep(machine.folder / name)] == ["completed"] * 4


def test_killed_sweeps_end_with_the_same_bits(machine: Machine, undisturbed: tuple[Path, float]) -> None:
    check_killed_sweeps(machine, undisturbed, kills=2, seed=1)


def jobs_below(folder: Path) -> dict[Job, DictConfig]:
    """The jobs of the sweep as the command line composes them, in folders of their own."""
    register_resolvers()
    jobs = {}
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        for optimizer, seed in itertools.product(("sgd", "swa", "adam"), range(2)):
            # drawing its curve takes longer than all epochs, and kills are to come upon these, too
            finder = RANGE_TEST if optimizer == "swa" else []
            overrides = (*SMALL, f"optimizer={optimizer}", f"seed={seed}", *OPTIONS, *finder)
            cfg = compose("train", list(overrides))
            jobs[Job(from_config(cfg, {"optimizer": optimizer}, overrides), folder / f"{optimizer}{seed}")] = cfg
    return jobs


def train_composed(jobs: dict[Job, DictConfig], cache: Path) -> None:
    """Train what is still to be trained of a sweep, as a launcher does once its jobs are composed."""
    os.environ["VEC2UAGE_CACHE"] = str(cache)
    register_resolvers()  # in this process, too: some options of a composed job are still to be resolved
    ended = prepare_folders(jobs, True)
    train_jobs([job for job in jobs if job not in ended], "")


@pytest.mark.slow
def test_sweeps_killed_fifty_times_end_with_the_same_bits(machine: Machine, tmp_path: Path) -> None:
    """Without the command line, whose start would be the better part of every attempt."""

    composed = jobs_below(tmp_path)

    def start(name: str) -> BaseProcess:
        jobs = {replace(job, folder=tmp_path / name / job.folder.name): cfg for job, cfg in composed.items()}
        process = context.Process(target=train_composed, args=(jobs, tmp_path / "cache"), daemon=True)
        process.start()
        return process

    def finish(name: str) -> float:
        began = time.monotonic()
        process = start(name)
        process.join(120)
        assert process.exitcode == 0
        return time.monotonic() - began

    finish("undisturbed")
    seconds = finish("undisturbed_once_more")  # with the data in the cache
    dice, sweeps, kills = random.Random(2), 0, 0
    while kills < 50:
        sweeps += 1
        folder = tmp_path / f"killed{sweeps}"
        for _ in range(6):
            process = start(folder.name)
            process.join(dice.uniform(0, seconds / 2))  # each attempt has less to do than the one before
            if process.exitcode is not None:
                break
            kill(process, folder, signal.SIGKILL)
            kills += 1
        finish(folder.name)
        for run in (tmp_path / "undisturbed").glob("*/"):
            assert everything(folder / run.name) == everything(run), f"{folder.name}/{run.name}"
    assert sweeps > 5


def wait_for_epochs(machine: Machine, folder: str, epochs: int) -> Path:
    """Wait until a run of the sweep has trained so many epochs; return its folder."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for metrics in (machine.folder / folder).glob("*/metrics.csv"):
            if metrics.read_text().count("\n") > epochs:
                return metrics.parent
        time.sleep(0.01)
    raise AssertionError(machine.output())


@contextlib.contextmanager
def killed_after(machine: Machine, epochs: int, *arguments: str, folder: str) -> Iterator[Path]:
    """Kill a sweep once one of its runs has trained so many epochs; gives that run's folder."""
    process = machine.start(*arguments, f"hydra.sweep.dir={folder}")
    run = wait_for_epochs(machine, folder, epochs)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(30)
    yield run


ENDLESS = ["-m", *SMALL, "trainer.threads=1", "trainer.max_epochs=100000", "early_stopping=none", "seed=range(2)"]


@pytest.mark.slow
def test_a_resumed_run_has_one_curve_in_tensorboard(machine: Machine) -> None:
    finite = [*ENDLESS[:-3], "trainer.max_epochs=40", "early_stopping=none", "seed=range(2)"]
    with killed_after(machine, 5, *finite, folder="curves") as run:
        assert machine.run(*finite, "hydra.sweep.dir=curves") == 0
        events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
        assert [event.step for event in events.Scalars("validation/loss")] == list(range(40))
        assert not RunFolder(run).checkpoint.exists()


def test_what_a_kill_left_over_is_in_the_table(machine: Machine) -> None:
    with killed_after(machine, 2, *ENDLESS, folder="left") as run:
        left = {result.name: result for result in read_sweep(run.parent)}
        assert {result.status for result in left.values()} == {"pending"}
        assert left.keys() == {"000_seed=0", "001_seed=1"}


@pytest.mark.slow
def test_another_code_or_configuration_is_refused_unless_told_otherwise(machine: Machine) -> None:
    with killed_after(machine, 2, *ENDLESS, folder="changed") as run:
        before = {path: path.read_bytes() for path in run.iterdir()}
        fewer = [o.replace("100000", "3") for o in ENDLESS]
        changed = [*fewer, "optimizer.lr=0.01", "hydra.sweep.dir=changed"]
        assert machine.run(*changed) == 1
        last = machine.output().splitlines()[-1]
        assert "made with another configuration" in last
        assert "optimizer.lr: 0.0001 there, 0.01 now" in last
        assert "resume=changed goes on all the same, resume=false trains anew" in last
        assert {path: path.read_bytes() for path in run.iterdir()} == before
        assert machine.run(*changed, "resume=changed") == 0
        assert RunFolder(run).read_result().lr == 0.01


@pytest.mark.slow
def test_two_sweeps_in_one_folder_exclude_each_other(machine: Machine) -> None:
    first = machine.start(*ENDLESS, "hydra.sweep.dir=shared")
    run = wait_for_epochs(machine, "shared", 1)
    assert machine.run(*ENDLESS, "hydra.sweep.dir=shared") == 1
    assert machine.output().splitlines()[-1].startswith("error: shared: another command is writing to it")
    # a single run in the folder of one of its jobs
    assert machine.run(*ENDLESS[1:-1], f"hydra.run.dir='shared/{run.name}'") == 1
    assert f"{run.name}: another command is writing to it" in machine.output().splitlines()[-1]
    os.kill(first.pid or 0, signal.SIGKILL)
    first.join(30)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_a_sweep_with_one_sentence_and_intact_files(
    machine: Machine, undisturbed: tuple[Path, float], small_disk: Path
) -> None:
    whole, _ = undisturbed
    command = (*SWEEP, f"hydra.sweep.dir={small_disk}/sweep")
    ballast = small_disk / "ballast"
    for room in (100_000, 300_000):  # full at the beginning, full in the middle
        ballast.write_bytes(bytes(1_000_000 - room))
        written = len(machine.output())
        assert machine.run(*command) == 1, machine.output()
        said = machine.output()[written:]
        assert [line for line in said.splitlines() if line.startswith("error: ")] == [said.splitlines()[-1]]
        assert "no space left on" in said.lower()
        assert "Traceback" not in said
        for path in (small_disk / "sweep").glob("*/result.json"):
            assert RunFolder(path.parent).read_result().status == "completed"
        for path in (small_disk / "sweep").glob("*/checkpoint.safetensors"):
            checkpoint.load(path)
        ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert machine.run(*command) == 0, machine.output()
    for run in whole.glob("*/"):
        assert everything(small_disk / "sweep" / run.name) == everything(run)

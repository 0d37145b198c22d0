"""A folder to type commands in, and drawn photographs to type them about.

Starting Python and importing torch takes longer than most commands do here, so that a command is a process of its own,
but forked from one that has imported what commands need and done nothing else.
"""

import csv
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from drawn_face import draw_face, save

AGES = (1, 2, 3)
SPLIT = ["split.age_range=[1,3]", "split.heldout_per_age=2"]
SECONDS = 300  # that a command may take

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "vec2uage.sweep.session",
        "vec2uage.augmentation.run",
        "vec2uage.evaluation.run",
        "tensorboard.summary.writer.record_writer",
        "matplotlib.backends.backend_agg",
    ]
)


def be_command(
    command: str, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> None:
    """Be `python -m vec2uage.COMMAND ARGUMENTS`, typed in `folder`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((out, 1), (err, 2)):
        with path.open("a") as file:
            os.dup2(file.fileno(), stream)
    sys.argv = [command, *arguments]
    sys.path[:0] = [str(folder), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    np.random.seed()  # noqa: NPY002 - not that of the process it was forked from
    runpy.run_module(f"vec2uage.{command}", run_name="__main__", alter_sys=True)


class Terminal:
    """A folder to type commands in, with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "VEC2UAGE_CACHE": str(folder / "cache")}

    def fork(self, command: str, *arguments: str, out: Path, err: Path, daemon: bool = False) -> BaseProcess:
        """Start a command whose output is appended to files; as `daemon` it ends with the tests, and has no workers."""
        process = context.Process(
            target=be_command, args=(command, arguments, self.folder, self.environment, out, err), daemon=daemon
        )
        process.start()
        return process

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            process = self.fork(command, *arguments, out=out, err=err)
            process.join(SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
                pytest.fail(f"vec2uage.{command} {arguments} did not end in {SECONDS} s: {err.read_text()}")
            done = subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    def start(self, command: str, *arguments: str, own_group: bool = False) -> subprocess.Popen[str]:
        """Start a command as a shell does; with `own_group`, so that Ctrl-C can be sent to it and all its processes."""
        return subprocess.Popen(
            [sys.executable, "-m", f"vec2uage.{command}", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0 if own_group else None,
        )

    def prepared(self, name: str = "visage") -> Path:
        return self.folder / "outputs" / "prepared" / name

    def open_to_others(self, *written: str) -> list[str]:
        """Return what others than its owner may read of files and folders that commands wrote."""
        paths = [path for top in written for path in (self.folder / top, *(self.folder / top).rglob("*"))]
        return [str(path.relative_to(self.folder)) for path in paths if path.stat().st_mode & 0o077]

    def rows(self, name: str = "visage") -> list[dict[str, str]]:
        return table(self.prepared(name) / "faces.csv")


def draw_people(folder: Path, per_age: int = 5) -> None:
    """Draw `per_age` persons of each age, no two alike."""
    for seed in range(per_age * len(AGES)):
        age = AGES[seed % len(AGES)]
        save(folder / str(age) / f"person_{seed}.png", draw_face(120, seed + 1))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))

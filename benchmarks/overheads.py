"""What surrounds training, and how little of a run it takes: start-up, data opening, writing, sweep bookkeeping."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.setting import CPU, Silent, arguments, fastest, machine, random_data, random_vectors, runs, wall_time
from vec2uage.data import storage
from vec2uage.data.vectorset import make_vector_set
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.training.data import TrainingData, load
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.record import Recorder
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.trainer import first_weights, train_stack

EPOCHS = 10
FEW, MANY = 20, 200  # jobs of the two sweeps whose difference is the cost of a job
TINY = ("debug=fast", "trainer.max_epochs=1", "augmentation.train_per_age=8")


def python(*command: str, cwd: str | Path = ".") -> float:
    """Return the seconds that a Python process takes from start to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - began


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def training(settings: list[RunSettings], data: TrainingData) -> float:
    """Return the seconds of training all runs to their end, with nothing written."""
    return wall_time(settings, lambda stack: stack, lambda stack: train_stack(stack, data, CPU, Silent()))


def write_run(run: RunSettings, data: TrainingData, weights: dict[str, torch.Tensor]) -> None:
    """Write all that a run of `EPOCHS` epochs leaves in its folder."""
    with tempfile.TemporaryDirectory() as folder:
        RunFolder(Path(folder)).config.touch()
        recorder = Recorder(RunFolder(Path(folder)), "benchmark", run, "benchmark")
        for number in range(EPOCHS):
            losses = {"train/loss": 20.0, "train/mae": 3.0, "validation/loss": 21.0, "validation/mae": 3.1}
            recorder.epoch(Epoch(number, 1e-4, losses))
        outcome = Outcome(
            status="completed",
            best_epoch=0,
            scores={"validation/mae": 3.1, "train/mae": 3.0, "test/mae": 3.2},
            weights=weights,
        )
        outcome.prediction = Point(data.parts["test"].age.numpy())
        outcome.model = data.model_of(run, weights)
        recorder.end(outcome, data)


def sweep(jobs: int) -> float:
    """Return the seconds of a whole sweep of tiny runs, as typed."""
    with tempfile.TemporaryDirectory() as folder:
        return python("-m", "vec2uage.train", "-m", *TINY, f"seed=range({jobs})", cwd=folder)


def main() -> None:
    """Measure and print one table."""
    given = arguments("the cost of everything but training")
    data = random_data(given.rows)
    (run,) = runs(1, "optimizer=sgd", "early_stopping=none", f"trainer.max_epochs={EPOCHS}")
    stack = first_weights([run], data, CPU)
    weights = {name: tensor.detach()[0] for name, tensor in stack.network.params.items()}
    tiny = runs(MANY, *TINY)
    tiny_data = load(tiny[0], CPU)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.arrow"
        storage.save(make_vector_set(*random_vectors(given.rows)), file)
        seconds = fastest(
            {
                "help": lambda: python("-m", "vec2uage.train", "--help"),
                "imports": lambda: python("-c", "import vec2uage.sweep.session"),
                "torch": lambda: python("-c", "import torch"),
                "open": lambda: clock(lambda: storage.load(file)),
                "write": lambda: clock(lambda: write_run(run, data, weights)),
            },
            given.repeats,
        )
    sweeps = fastest(
        {
            "few": lambda: sweep(FEW),
            "many": lambda: sweep(MANY),
            "pure few": lambda: training(tiny[:FEW], tiny_data),
            "pure many": lambda: training(tiny, tiny_data),
        },
        repeats=max(1, given.repeats // 2),
    )
    whole = training([run], data)
    per_job, pure = ((sweeps[f"{kind}many"] - sweeps[f"{kind}few"]) / (MANY - FEW) for kind in ("", "pure "))

    def line(what: str, spent: float, remark: str = "") -> str:
        return f"{what:52}{1e3 * spent:9.1f} ms   {remark}"

    def share(spent: float) -> str:
        return f"{spent / whole:7.2%} of it"

    print(
        f"Around training; {given.rows:,} x {data.dimension} vectors, fastest of {given.repeats}\n{machine()}\n",
        line("python -m vec2uage.train --help", seconds["help"], "goal < 1500 ms"),
        line(f"a run of {EPOCHS} epochs, training alone", whole),
        line("  start-up: a process that imports the training path", seconds["imports"], share(seconds["imports"])),
        line("    of which torch", seconds["torch"]),
        line("  opening the vectors (Arrow file)", seconds["open"], f"{share(seconds['open'])}, goal < 500 ms"),
        line("  writing its folder: events, csv, weights, results", seconds["write"], share(seconds["write"])),
        line(f"a job of a sweep of tiny runs ({FEW} to {MANY} jobs)", per_job),
        line("  training alone", pure),
        line("  overhead: composition, folder, writers", per_job - pure, "goal < 50 ms"),
        sep="\n",
    )


if __name__ == "__main__":
    main()

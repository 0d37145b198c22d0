"""The same small grid of runs, four ways: `python -m benchmarks.grid`.

Two optimisers and some seeds of the paper's network, the same rows, epochs and validation for all. What a run leaves
behind is written in all four: TensorBoard events, metrics and weights. All ways start in a warm process: a round before
the measured ones pays for imports, and for the start of joblib's processes.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytorch_lightning as lightning
import torch
from joblib import Parallel, delayed
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.setting import BATCH, CPU, fastest, machine, runs
from benchmarks.training import network, quiet
from vec2uage.base import seeds
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.training.data import load
from vec2uage.training.inputs import VectorInputs
from vec2uage.training.run_settings import RunSettings

LR = 1e-4
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


class Module(lightning.LightningModule):
    """The paper's network as one writes it for pytorch-lightning."""

    def __init__(self, optimizer: str, seed: int) -> None:
        super().__init__()
        self.model, self.optimizer = network(seed), OPTIMIZERS[optimizer]

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self._loss("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self._loss("val", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters(), lr=LR)

    def _loss(self, side: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss = nn.functional.mse_loss(self.model(batch[0]).squeeze(1), batch[1])
        self.log(f"{side}_loss", loss, on_step=False, on_epoch=True)
        return loss


def loader(rows: VectorInputs, seed: int | None) -> DataLoader[tuple[Tensor, ...]]:
    """Return rows in batches, shuffled if there is a seed."""
    generator = None if seed is None else seeds.torch_generator(seed, "batches")
    return DataLoader(TensorDataset(rows.x, rows.age), BATCH, shuffle=generator is not None, generator=generator)


def with_lightning(optimizer: str, run: RunSettings, folder: Path) -> None:
    """Train one run with pytorch-lightning as it comes: logger, checkpoint, progress bar, validation every epoch."""
    data = load(run, CPU)
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=run.trainer.max_epochs, default_root_dir=folder)
    trainer.fit(Module(optimizer, run.seed), loader(data.train, run.seed), loader(data.parts["validation"], None))


def train(settings: Sequence[RunSettings], folder: Path) -> None:
    """Train runs with vec2uage, all together; a failed run would be a fast one."""
    jobs = [Job(run, folder / str(number)) for number, run in enumerate(settings)]
    for job in jobs:
        job.folder.mkdir(parents=True)
        RunFolder(job.folder).config.touch()
    results = train_jobs(jobs, "benchmark").results
    assert {result.status for result in results.values()} == {"completed"}, results


def one_by_one(settings: Sequence[RunSettings], folder: Path) -> None:
    """Train runs one after the other, as `hydra/launcher=basic` does."""
    for number, run in enumerate(settings):
        train([run], folder / str(number))


def in_processes(settings: Sequence[RunSettings], folder: Path) -> None:
    """Train runs one by one in two processes of one thread each."""
    single = [replace(run, trainer=replace(run.trainer, threads=1)) for run in settings]
    work = delayed(silently)
    Parallel(n_jobs=2)(work(train, [run], folder / str(number)) for number, run in enumerate(single))


def silently(work: Callable[..., None], *given: object) -> None:
    """Call `work` and show nothing of what it prints."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        work(*given)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6, help="of each optimiser")
    parser.add_argument("--epochs", type=int, default=2, help="of every run")
    parser.add_argument("--train-per-age", type=int, default=889, help="rows of each of 18 ages")
    parser.add_argument("--repeats", type=int, default=2, help="rounds to take the fastest of")
    given = parser.parse_args()
    quiet()
    common = (
        "early_stopping=none",
        f"optimizer.lr={LR}",
        f"trainer.max_epochs={given.epochs}",
        f"augmentation.train_per_age={given.train_per_age}",
    )
    grid = [(name, run) for name in OPTIMIZERS for run in runs(given.seeds, f"optimizer={name}", *common)]
    settings = [run for _, run in grid]

    def each_with_lightning(_: Sequence[RunSettings], folder: Path) -> None:
        for number, (optimizer, run) in enumerate(grid):
            with_lightning(optimizer, run, folder / str(number))

    def clock(work: Callable[..., None]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            silently(work, settings, Path(folder))
            return time.perf_counter() - began

    ways: dict[str, tuple[Callable[..., None], str]] = {
        f"pytorch-lightning {lightning.__version__}, run by run": (each_with_lightning, ">= 3"),
        "vec2uage, run by run": (one_by_one, "> 1"),
        "vec2uage, run by run in 2 processes of joblib": (in_processes, "> 1"),
        "vec2uage, as stacks": (train, ""),
    }
    seconds = fastest({name: partial(clock, work) for name, (work, _) in ways.items()}, given.repeats)
    ours = seconds["vec2uage, as stacks"]
    rows = len(load(settings[0], CPU).train)
    print(
        f"A grid of {len(grid)} runs ({' and '.join(OPTIMIZERS)}), {given.epochs} epochs of {rows:,} rows, fastest of "
        f"{given.repeats}\n{machine()}\n"
    )
    for name, (_, goal) in ways.items():
        ratio = f"{seconds[name] / ours:6.2f} times the stacks   goal {goal}" if goal else ""
        print(f"{name:48}{seconds[name]:8.1f} s   {ratio}".rstrip())


if __name__ == "__main__":
    main()

"""Milliseconds per run and step of four ways to train the paper's network, and of the arithmetic alone.

All get the same rows, batch size, optimiser and cores. DataLoaders work in the main process, their default; Lightning
is timed from the start to the end of its epoch, as all others are: as it comes, and bare of logger, checkpoints and
progress bar.
"""

import io
import logging
import math
import tempfile
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.setting import BATCH, CPU, DIMENSION, Silent, arguments, fastest, machine, random_data, runs, wall_time
from vec2uage.base import seeds
from vec2uage.training.data import TrainingData
from vec2uage.training.spec import RunSettings
from vec2uage.training.trainer import Outcome, Stack, assemble, train_epoch

SIZES = (DIMENSION, 512, 256, 128, 1)
LR = 1e-4
STACKED_RUNS = 8
SIDE = 2048  # of the square matrices that the processor's rate is measured with
# Forward, weight gradient and input gradient are one product per layer each, of two operations per weight and row. The
# first layer's input gradient is counted too, although nobody computes it.
FLOPS = 3 * 2 * BATCH * sum(i * o for i, o in pairwise(SIZES))


def network() -> nn.Sequential:
    """Build the paper's network as one writes it in plain PyTorch."""
    hidden = [layer for i, o in pairwise(SIZES[:-1]) for layer in (nn.Linear(i, o), nn.ReLU())]
    with seeds.global_torch_rng(0, "model"):
        return nn.Sequential(*hidden, nn.Linear(SIZES[-2], 1))


def loader(data: TrainingData) -> DataLoader[tuple[Tensor, ...]]:
    """Return the rows as most PyTorch programs read them."""
    rows = TensorDataset(data.train.x, data.train.age)
    return DataLoader(rows, BATCH, shuffle=True, generator=seeds.torch_generator(0, "batches"))


def dataloader_loop(data: TrainingData) -> float:
    """Return the seconds of one epoch of a plain loop."""
    model, batches = network(), loader(data)
    optimizer = torch.optim.SGD(model.parameters(), LR)
    began = time.perf_counter()
    for x, age in batches:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x).squeeze(1), age).backward()
        optimizer.step()
    return time.perf_counter() - began


class Module(lightning.LightningModule):
    """The same network, loss and optimiser for pytorch-lightning, with a clock around its epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()
        self.seconds = 0.0

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, age = batch
        return nn.functional.mse_loss(self.model(x).squeeze(1), age)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), LR)

    def on_train_epoch_start(self) -> None:
        self.seconds -= time.perf_counter()

    def on_train_epoch_end(self) -> None:
        self.seconds += time.perf_counter()


def lightning_loop(data: TrainingData, bare: bool) -> float:
    """Return the seconds of one epoch of pytorch-lightning: as it comes, or `bare` of all that is not training."""
    module = Module()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            default_root_dir=folder,
            logger=not bare,
            enable_checkpointing=not bare,
            enable_progress_bar=not bare,
            enable_model_summary=not bare,
        )
        trainer.fit(module, loader(data))
    return module.seconds


def ours(settings: list[RunSettings], data: TrainingData) -> float:
    """Return the seconds of one epoch of all runs, laid over the machine as a sweep would."""

    def prepare(stack: list[RunSettings]) -> Stack:
        return assemble(stack, data, CPU, [Outcome() for _ in stack])

    return wall_time(settings, prepare, lambda stack: train_epoch(stack, settings[0], data, 0, Silent()))


def product_rate() -> float:
    """Return the seconds that one operation takes in a large float32 matrix product on all cores."""
    generator = seeds.torch_generator(0, "benchmarks")
    a, b = torch.randn(2, SIDE, SIDE, generator=generator)
    began = time.perf_counter()
    for _ in range(10):
        torch.mm(a, b)
    return (time.perf_counter() - began) / (10 * 2 * SIDE**3)


def main() -> None:
    """Measure and print one table."""
    given = arguments("training speed")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    data = random_data(given.rows)
    one, many = (runs(count, "optimizer=sgd", f"optimizer.lr={LR}") for count in (1, STACKED_RUNS))
    seconds = fastest(
        {
            "a": lambda: dataloader_loop(data),
            "b": lambda: lightning_loop(data, bare=False),
            "bare": lambda: lightning_loop(data, bare=True),
            "c": lambda: ours(one, data),
            "d": lambda: ours(many, data) / len(many),
            "operation": product_rate,
        },
        given.repeats,
    )
    steps = math.ceil(given.rows / BATCH)
    ms = {name: 1e3 * seconds[name] / steps for name in ("a", "b", "bare", "c", "d")} | {
        "e": 1e3 * seconds["operation"] * FLOPS
    }
    print(
        f"Milliseconds per run and step; {given.rows:,} x {DIMENSION} vectors, batch {BATCH}, float32, SGD, fastest of "
        f"{given.repeats}\n{machine()}\n\n"
        f"(a) DataLoader and torch.optim       {ms['a']:8.3f}\n"
        f"(b) pytorch-lightning {lightning.__version__:15}{ms['b']:8.3f}\n"
        f"    without logger, checkpoints, bar {ms['bare']:8.3f}   (bare)\n"
        f"(c) vec2uage, one run                {ms['c']:8.3f}\n"
        f"(d) vec2uage, {len(many)} runs stacked         {ms['d']:8.3f}\n"
        f"(e) arithmetic limit                 {ms['e']:8.3f}   {FLOPS / 1e6:.1f} million operations at "
        f"{1e-9 / seconds['operation']:.0f} GFLOP/s\n"
    )
    for over, under, goal in (
        ("a", "c", "> 1"),
        ("b", "c", "> 1"),
        ("b", "d", ">= 2.6"),
        ("bare", "d", ""),
        ("d", "e", "<= 1.4"),
    ):
        print(f"({over})/({under})  {ms[over] / ms[under]:6.2f}   {goal and f'goal {goal}'}".rstrip())


if __name__ == "__main__":
    main()

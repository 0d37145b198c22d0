"""Milliseconds per run and step of some ways to train the paper's network, and of the arithmetic alone.

All use float32 and SGD but the indented lines, for other optimisers, and the one that says bf16. All get the same rows,
batch size and cores. DataLoaders work in the main process, their default; Lightning is timed from the start to the end
of its epoch, as all others are: as it comes, and bare of logger, checkpoints and progress bar.
"""

import io
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.setting import BATCH, CPU, DIMENSION, Silent, arguments, fastest, machine, random_data, runs, wall_time
from vec2uage.base import seeds
from vec2uage.training.data import TrainingData
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack import Stack
from vec2uage.training.trainer import first_weights, train_epoch

SIZES = (DIMENSION, 512, 256, 128, 1)
LR = 1e-4
STACKED_RUNS = 8
SIDE = 2048  # of the square matrices that the processor's rate is measured with
# Forward, weight gradient and input gradient are one product per layer each, of two operations per weight and row. The
# first layer's input gradient is counted too, although nobody computes it.
FLOPS = 3 * 2 * BATCH * sum(i * o for i, o in pairwise(SIZES))


def quiet() -> None:
    """Keep Lightning from talking."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")


def network(seed: int = 0) -> nn.Sequential:
    """Build the paper's network as one writes it in plain PyTorch."""
    hidden = [layer for i, o in pairwise(SIZES[:-1]) for layer in (nn.Linear(i, o), nn.ReLU())]
    with seeds.global_torch_rng(seed, "model"):
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


def lightning_loop(data: TrainingData, bare: bool, accelerator: str = "cpu") -> float:
    """Return the seconds of one epoch of pytorch-lightning: as it comes, or `bare` of all that is not training."""
    module = Module()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=1,
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
        return first_weights(stack, data, CPU)

    return wall_time(settings, prepare, lambda stack: train_epoch(stack, settings, data, 0, Silent()))


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
    quiet()
    data = random_data(given.rows)

    def stacked(optimizer: str, *overrides: str, count: int = STACKED_RUNS) -> Callable[[], float]:
        settings = runs(count, f"optimizer={optimizer}", f"optimizer.lr={LR}", *overrides)
        return lambda: ours(settings, data) / count

    ways = {
        "a": ("DataLoader and torch.optim", lambda: dataloader_loop(data)),
        "b": (f"pytorch-lightning {lightning.__version__}", lambda: lightning_loop(data, bare=False)),
        "bare": ("  without logger, checkpoints, bar", lambda: lightning_loop(data, bare=True)),
        "c": ("vec2uage, one run", stacked("sgd", count=1)),
        "d": (f"vec2uage, {STACKED_RUNS} runs stacked", stacked("sgd")),
        "swa": ("  SWA", stacked("swa")),
        "momentum": ("  SGD, momentum 0.9", stacked("sgd", "optimizer.momentum=0.9")),
        "adam": ("  Adam", stacked("adam")),
        "adagrad": ("  Adagrad", stacked("adagrad")),
        "head": (
            "  head=label_distribution, 18 outputs",
            stacked("sgd", "head=label_distribution", "head.ages=[1,18]"),
        ),
    }
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        ways["bf16"] = (f"vec2uage, {STACKED_RUNS} runs stacked, bf16", stacked("sgd", "trainer.precision=bf16"))
    measures = {name: measure for name, (_, measure) in ways.items()}
    seconds = fastest(measures | {"operation": product_rate}, given.repeats)
    steps = math.ceil(given.rows / BATCH)
    ms = {name: 1e3 * seconds[name] / steps for name in ways} | {"e": 1e3 * seconds["operation"] * FLOPS}
    print(
        f"Milliseconds per run and step; {given.rows:,} x {DIMENSION} vectors, batch {BATCH}, fastest of "
        f"{given.repeats}\n{machine()}\n",
        *(f"{f'({name})':11}{what:38}{ms[name]:8.3f}" for name, (what, _) in ways.items()),
        f"{'(e)':11}{'arithmetic limit, float32':38}{ms['e']:8.3f}   {FLOPS / 1e6:.1f} million operations at "
        f"{1e-9 / seconds['operation']:.0f} GFLOP/s\n",
        sep="\n",
    )
    for over, under, goal in (
        ("a", "c", "goal > 1"),
        ("b", "c", "goal > 1"),
        ("b", "d", "goal >= 2.6"),
        ("bare", "d", ""),
        ("d", "e", "goal <= 1.2"),
        ("swa", "e", ""),
        ("momentum", "e", ""),
        ("adam", "e", ""),
        ("adagrad", "e", ""),
        ("head", "d", "goal <= 1.15"),
        ("b", "bf16", "goal >= 5"),
    ):
        if under in ms:
            print(f"{f'({over})/({under})':17}{ms[over] / ms[under]:6.2f}   {goal}".rstrip())


if __name__ == "__main__":
    main()

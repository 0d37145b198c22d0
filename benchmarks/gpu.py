"""What a step costs on a GPU, and how long the paper's D1 takes there: `python -m benchmarks.gpu`.

Stacks of 20 runs, as D1 has them, alone and four side by side; pytorch-lightning run by run on the same GPU. D1 itself
(80 runs, 90,000 generated rows) is timed from the start of its process to its end; early stopping ends most of its runs
before their last epoch, and what pytorch-lightning would take is reckoned for the epochs that were trained.
"""

import argparse
import csv
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from benchmarks.setting import BATCH, HELDOUT, ROWS, random_data, runs
from benchmarks.training import SIZES, lightning_loop, quiet
from vec2uage.base.provenance import provenance
from vec2uage.training.cuda_graph import graphed_step
from vec2uage.training.data import TrainingData
from vec2uage.training.inputs import batches, epoch_order
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.trainer import first_weights, train_step

GPU = torch.device("cuda", 0)
OPTIMIZERS = ("sgd", "swa", "adagrad", "adam")
PRECISIONS = ("float32", "tf32", "bf16")
RUNS = 20  # of each optimiser in D1
LIGHTNING_STEPS = 500
WARM_UP = 20
# What nobody can do without: the products (the first layer needs no input gradient) and, of the weights, one reading
# for the forward pass and one for the input gradients, then reading and writing what the optimiser changes.
WEIGHTS = sum(i * o for i, o in pairwise(SIZES))
OPERATIONS = 2 * BATCH * (3 * WEIGHTS - SIZES[0] * SIZES[1])
PASSES = {"sgd": 4, "swa": 4, "adagrad": 8, "adam": 10}


def milliseconds(settings: list[RunSettings], data: TrainingData, steps: int) -> float:
    """Return the time of a step of these runs as one stack, in the stream that is current; of an epoch at most."""
    steps = min(steps, len(data.train) // BATCH - WARM_UP)
    stack = first_weights(settings, data, GPU)
    order = epoch_order(stack.orders, len(data.train))[:, : (steps + WARM_UP) * BATCH].to(GPU)
    for number, index in enumerate(batches(order, BATCH)):
        if number == WARM_UP:
            torch.cuda.current_stream().synchronize()
            began = time.perf_counter()
        graphed_step(train_step, stack.network, data.train, index, stack.lr["scheduled"])
    torch.cuda.current_stream().synchronize()
    return 1e3 * (time.perf_counter() - began) / steps


def side_by_side(stacks: Iterable[list[RunSettings]], data: TrainingData, steps: int) -> list[float]:
    """Return the time of a step of each of these stacks, each in a stream and a thread of its own."""

    def one(settings: list[RunSettings]) -> float:
        with torch.cuda.stream(torch.cuda.Stream(GPU)):
            return milliseconds(settings, data, steps)

    stacks = list(stacks)
    with ThreadPoolExecutor(len(stacks)) as pool:
        return list(pool.map(one, stacks))


def limits() -> dict[str, float]:
    """Return what this GPU does at best: operations a second in large products, bytes a second in a large copy."""
    found, generator = {}, torch.Generator(GPU).manual_seed(0)
    for name, dtype, switch in (
        ("float32", torch.float32, "ieee"),
        ("tf32", torch.float32, "tf32"),
        ("bf16", torch.bfloat16, "ieee"),
    ):
        torch.backends.cuda.matmul.fp32_precision = switch
        x = torch.randn(8192, 8192, generator=generator, device=GPU, dtype=dtype)
        found[name] = 2 * 8192**3 / _seconds(partial(torch.matmul, x, x))
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    source = torch.empty(2**30, dtype=torch.uint8, device=GPU)
    target = torch.empty_like(source)
    found["bytes"] = 2 * source.nbytes / _seconds(lambda: target.copy_(source))
    return found


def d1(*overrides: str) -> tuple[float, int]:
    """Run D1 as a user would; return the seconds from start to end and the epochs that its runs trained."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = ["-m", "vec2uage.train", "experiment=d1", f"hydra.sweep.dir={folder}/d1", *overrides]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        seconds = time.perf_counter() - began
        with Path(folder, "d1", "sweep.csv").open(encoding="utf-8", newline="") as file:
            return seconds, sum(int(row["epochs"]) for row in csv.DictReader(file))


def _seconds(work: Callable[[], object], repeats: int = 10) -> float:
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / repeats


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to train on, but in D1")
    parser.add_argument("--steps", type=int, default=300, help="steps to time")
    parser.add_argument("--no-d1", action="store_true", help="do not run D1 (three times, about a minute each)")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: nothing of a GPU is measured")
        return
    quiet()
    known = provenance()
    print(f"{torch.cuda.get_device_name(GPU)}, {known['cpu']}, torch {known['torch']}\n")
    data, best = random_data(given.rows).to(GPU), limits()

    def stack(name: str, precision: str) -> list[RunSettings]:
        return runs(RUNS, f"optimizer={name}", "optimizer.lr=1e-4", f"trainer.precision={precision}")

    print(f"Milliseconds of a step of {RUNS} runs, alone (and the least that arithmetic or memory allow)\n")
    print(f"{'':10}" + "".join(f"{name:>18}" for name in OPTIMIZERS) + f"{'side by side':>18}")
    for precision in PRECISIONS:
        alone = [side_by_side([stack(name, precision)], data, given.steps)[0] for name in OPTIMIZERS]
        together = max(side_by_side([stack(name, precision) for name in OPTIMIZERS], data, given.steps))
        least = [
            1e3 * RUNS * max(OPERATIONS / best[precision], 4 * WEIGHTS * PASSES[name] / best["bytes"])
            for name in OPTIMIZERS
        ]
        cells = [f"{ms:.3f} ({limit:.3f})" for ms, limit in zip(alone, least, strict=True)]
        print(f"{precision:10}" + "".join(f"{cell:>18}" for cell in [*cells, f"{together:.3f} ({sum(least):.3f})"]))
    theirs = 1e3 * lightning_loop(random_data(LIGHTNING_STEPS * BATCH), bare=False, accelerator="gpu") / LIGHTNING_STEPS
    print(f"\npytorch-lightning, one run, SGD: {theirs:.3f} ms a step")
    if given.no_d1:
        return
    steps = math.ceil(ROWS / BATCH)
    print(f"\nD1: 80 runs, {ROWS:,} rows, {HELDOUT:,} to validate on after every epoch, up to 100 epochs")
    for overrides in (
        ("trainer.checkpoint_every=10",),
        ("trainer.checkpoint_every=10", "trainer.precision=tf32"),
        ("trainer.checkpoint_every=0", "trainer.precision=tf32"),
    ):
        seconds, epochs = d1(*overrides)
        ratio = epochs * steps * theirs / 1e3 / seconds
        print(
            f"{' '.join(overrides):52}{seconds:6.1f} s for {epochs:,} epochs; pytorch-lightning run by run, validation "
            f"not counted: {ratio:.0f} times as long   goal >= 100"
        )


if __name__ == "__main__":
    main()

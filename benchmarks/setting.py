"""What the benchmarks share: the paper's size, settings from conf/, and training as the engine lays it out."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from jaxtyping import Float

from vec2uage.base import seeds
from vec2uage.base.provenance import provenance
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.sweep.plan import make_plan, split_evenly, worker_pool
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.inputs import VectorInputs
from vec2uage.training.normalization import fit
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.run_settings import RunSettings, from_config

ROWS, HELDOUT, DIMENSION, BATCH = 90_000, 4_500, 512, 64
CPU = torch.device("cpu")

T = TypeVar("T")


class Silent:
    """An observer that writes nothing, so that only training is timed."""

    def interrupted(self) -> bool:
        return False

    def epoch(self, run: int, epoch: Epoch) -> None:
        pass

    def checkpoint(self, run: int, state: Checkpoint) -> None:
        pass

    def end(self, run: int, outcome: Outcome) -> None:
        pass


def runs(count: int, *overrides: str) -> list[RunSettings]:
    """Return the settings of `count` runs that differ in their seed."""
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        first = from_config(compose("train", ["trainer.device=cpu", *overrides]), {}, ())
    return [replace(first, seed=seed) for seed in range(count)]


def random_vectors(rows: int) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, " N"]]:
    """Draw unit vectors and ages (years); what they say does not matter to the clock."""
    generator = seeds.numpy_generator(0, "benchmarks")
    vectors = generator.standard_normal((rows, DIMENSION), dtype=np.float32)
    ages = generator.uniform(1, 19, rows).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), ages


def random_data(rows: int) -> TrainingData:
    """Return `rows` random rows to train on, and the paper's 4,500 for validation and for test."""
    vectors, ages = (torch.from_numpy(array) for array in random_vectors(rows + 2 * HELDOUT))
    sizes = {"train": rows, "validation": HELDOUT, "test": HELDOUT}
    split = zip(sizes, vectors.split(list(sizes.values())), ages.split(list(sizes.values())), strict=True)
    parts = {name: VectorInputs(x, age) for name, x, age in split}
    names = np.array([f"row:{row}" for row in range(HELDOUT)], dtype=object)
    unknown = np.full(HELDOUT, "", dtype=object)
    return TrainingData(parts, names, unknown, fit("none", parts["train"].x), "random", "random", ())


def wall_time(
    settings: Sequence[RunSettings], prepare: Callable[[list[RunSettings]], T], work: Callable[[T], object]
) -> float:
    """Return the seconds of `work` on all runs, in the stacks, workers and threads that a sweep would use.

    `prepare` makes of each stack what `work` is called with; its time does not count.
    """
    plan = make_plan(len(settings), settings[0].trainer, (CPU,))
    stacks = [prepare(stack) for stack in split_evenly(settings, plan.stack_size, plan.workers)]
    with worker_pool(plan) as pool:
        began = time.perf_counter()
        list(pool.map(work, stacks))
        return time.perf_counter() - began


def fastest(measures: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Call every measure `repeats` times in turn and return the fastest of each.

    Whatever else a machine does only slows a repetition down, for seconds at a time on a shared one; the fastest is the
    nearest to the cost of the work itself, and taking turns gives all the same chances. One more round before is not
    counted: it fills caches and loads libraries.
    """
    rounds = [{name: measure() for name, measure in measures.items()} for _ in range(repeats + 1)][1:]
    return {name: min(r[name] for r in rounds) for name in measures}


def arguments(description: str) -> argparse.Namespace:
    """Parse what both benchmarks understand; smaller values only try whether everything runs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to train on")
    parser.add_argument("--repeats", type=int, default=8, help="rounds to take the fastest of")
    return parser.parse_args()


def machine() -> str:
    """Name the machine in one line."""
    known = provenance()
    return f"{known['cpu']}, {torch.get_num_threads()} threads, torch {known['torch']}, Python {known['python']}"

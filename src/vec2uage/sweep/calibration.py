"""Which layout of stacks over CPU cores is fastest here, from short real training; asked for by `trainer.calibrate`.

Other work on the machine while it measures can make it choose badly, so nothing that was measured is used in silence.
"""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt, TypeAdapter

from vec2uage.base.atomic import write_json
from vec2uage.base.cache import cache_folder
from vec2uage.base.digest import with_digest, without_digest
from vec2uage.base.provenance import provenance
from vec2uage.sweep.plan import Plan, split_evenly, worker_pool
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.range_test import NoRangeTest
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.trainer import first_weights, train_epoch

log = logging.getLogger(__name__)

_CPU = torch.device("cpu")
_SECONDS = 0.2  # that each layout is measured for, in each round
_ROUNDS = 3  # the fastest of which counts: whatever else the machine does only slows a measurement down
_STEPS = 4  # between two looks at the clock
_STACK_SIZES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Speed:
    """Seconds per run and step, over all workers, of `workers` stacks of `stack_size` at a time on `threads` each."""

    workers: PositiveInt
    threads: PositiveInt
    stack_size: PositiveInt
    seconds: PositiveFloat

    def estimate(self, runs: int, steps: int) -> float:
        """Return the seconds that `runs` runs of `steps` steps take at this speed, the last stacks waited for."""
        stacks = split_evenly(range(runs), self.stack_size, self.workers)
        loads = [sum(map(len, stacks[first :: self.workers])) for first in range(min(self.workers, len(stacks)))]
        return max(loads) * self.workers * self.seconds * steps


@dataclass(frozen=True)
class _Kept:
    """What the file of a measurement holds: when it was made, and the speed of every layout."""

    measured: datetime
    speeds: Annotated[list[Speed], Field(min_length=1)]


_SCHEMA = TypeAdapter(_Kept)


def measured_speeds(settings: RunSettings, data: TrainingData, cores: int, stackable: bool) -> list[Speed]:
    """Return the speed of every layout for runs like `settings`, as kept from an earlier time or measured now."""
    sizes = _STACK_SIZES if stackable else (1,)
    path = cache_folder() / "speed" / f"{_key(settings, data.dimension, cores, sizes)}.json"
    with suppress(OSError, ValueError, RecursionError):  # not there, or damaged
        kept = _SCHEMA.validate_python(without_digest(json.loads(path.read_bytes())))
        _tell_kept(path, kept.measured)
        return kept.speeds
    log.info("measuring which stacks are fastest on this machine: a few seconds")
    counts = [cores >> halvings for halvings in range(cores.bit_length())]
    layouts = [Plan((_CPU,) * count, cores // count, size) for count in counts for size in sizes]
    rounds = [[_measure(plan, settings, data) for plan in layouts] for _ in range(_ROUNDS)]
    speeds = [min(same, key=lambda speed: speed.seconds) for same in zip(*rounds, strict=True)]
    with suppress(OSError):  # then it is measured again next time
        measured = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(path, with_digest({"measured": measured, "speeds": [asdict(speed) for speed in speeds]}))
    return speeds


@cache  # once a measurement, however many groups it plans
def _tell_kept(path: Path, measured: datetime) -> None:
    when = measured.astimezone().strftime("%Y-%m-%d %H:%M")
    log.info("stacks are planned by the speeds measured on %s; to measure again, delete %s", when, path)


def fastest(speeds: list[Speed], runs: int) -> Speed:
    """Return the layout that trains `runs` runs first."""
    return min(speeds, key=lambda speed: speed.estimate(runs, 1))


class _Silent:
    """An observer that writes nothing."""

    def interrupted(self) -> bool:
        return False

    def epoch(self, run: int, epoch: Epoch) -> None: ...

    def checkpoint(self, run: int, checkpoint: Checkpoint) -> None: ...

    def end(self, run: int, outcome: Outcome) -> None: ...


def _measure(plan: Plan, settings: RunSettings, data: TrainingData) -> Speed:
    few = replace(data, parts={"train": data.train.first(_STEPS * settings.trainer.batch_size)})
    steps = -(-len(few.train) // settings.trainer.batch_size)
    runs = [replace(settings, seed=seed, lr_finder=NoRangeTest()) for seed in range(plan.stack_size)]

    def train() -> float:
        stack = first_weights(runs, few, _CPU)
        train_epoch(stack, runs, few, 0, _Silent())  # fills caches
        began, epochs = time.perf_counter(), 0
        while time.perf_counter() - began < _SECONDS:
            train_epoch(stack, runs, few, 0, _Silent())
            epochs += 1
        return (time.perf_counter() - began) / (epochs * steps * len(runs))

    before = torch.get_num_threads()
    with worker_pool(plan) as pool:
        futures: list[Future[float]] = [pool.submit(train) for _ in range(plan.workers)]
        seconds = [future.result() for future in futures]
    torch.set_num_threads(before)
    return Speed(plan.workers, plan.threads, plan.stack_size, sum(seconds) / len(seconds) / plan.workers)


def _key(settings: RunSettings, dimension: int, cores: int, sizes: Sequence[int]) -> str:
    """Name what the speed depends on: the machine, torch, and the shape of a step."""
    known = provenance()
    trainer = settings.trainer
    optimizer = type(settings.optimizer).__name__ + str(getattr(settings.optimizer, "component", ""))
    what = (
        known["cpu"],
        cores,
        known["torch"],
        known["vec2uage"],
        settings.model,
        optimizer,
        settings.averaging,
        settings.head,
    )
    text = repr((what, dimension, trainer.batch_size, trainer.precision, sizes))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

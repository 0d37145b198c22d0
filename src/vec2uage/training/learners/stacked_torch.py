"""The engine: networks, trained as stacks of runs."""

from collections.abc import Hashable, Sequence
from dataclasses import fields
from typing import Any

import torch

from vec2uage.training import memory, stack_check
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.learners.base import Observer
from vec2uage.training.run_settings import RunSettings, is_network
from vec2uage.training.stack_check import StackCheck
from vec2uage.training.trainer import train_stack


class StackedTorch:
    """Trains `torch.nn.Module`s, as many runs at once as share a `stack_key`."""

    def trains(self, target: Any) -> bool:
        return is_network(target)

    def stack_key(self, run: RunSettings) -> Hashable:
        own = ("seed", "choices", "overrides", "swept", "config_hash")
        common: dict[str, Any] = {f.name: getattr(run, f.name) for f in fields(run) if f.name not in own}
        for name in ("optimizer", "averaging", "lr_schedule", "early_stopping"):
            common[name] = _without_per_run(common[name])
        common["variant"] = run.optimizer.variant()
        common["split_seed"] = run.split_seed
        return tuple(common.items())

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        return stack_check.check_stackable(run, data.dimension, len(data.train), device)

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        return memory.run_bytes(run, data.dimension, len(data.train))

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        return -(-len(data.train) // run.trainer.batch_size)

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        return run.averaging.warning(run.trainer.max_epochs, self.steps_per_epoch(run, data))

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        train_stack(runs, data, device, observer, checkpoints)


def _without_per_run(part: Any) -> Any:
    names = {f.name for f in fields(part)} & set(part.per_run)
    return type(part), tuple((f.name, getattr(part, f.name)) for f in fields(part) if f.name not in names)

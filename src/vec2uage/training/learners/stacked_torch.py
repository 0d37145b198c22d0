"""The engine: networks, trained as stacks of runs."""

from collections.abc import Hashable, Sequence

import torch

from vec2uage.training import memory, stack_check
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.learners.base import Observer
from vec2uage.training.run_settings import RunSettings, without_options
from vec2uage.training.stack_check import StackCheck
from vec2uage.training.trainer import train_stack


class StackedTorch:
    """Trains `torch.nn.Module`s, as many runs at once as share a `stack_key`."""

    def stack_key(self, run: RunSettings) -> Hashable:
        shared = {name: option for name, option in run.options().items() if name != "seed"}
        for name in ("optimizer", "averaging", "lr_schedule", "early_stopping", "regularization"):
            shared[name] = without_options(shared[name], shared[name].per_run)
        return *shared.items(), run.optimizer.variant(), run.regularization.in_use, run.split_seed

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        return stack_check.check_stackable(run, data.dimension, len(data.train), device)

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        return memory.run_bytes(run, (data.dimension,), len(data.train))

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        return -(-len(data.train) // run.trainer.batch_size)

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        return run.averaging.warning(run.trainer.max_epochs, self.steps_per_epoch(run, data))

    def made_of(self, run: RunSettings) -> list[str]:
        return []

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        train_stack(runs, data, device, observer, checkpoints)

"""The runs of a stack: how their tensors are put together, and how some of them are taken out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vec2uage.base import seeds
from vec2uage.base.errors import UserError
from vec2uage.training import models
from vec2uage.training.data import TrainingData
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Outcome
from vec2uage.training.precision import check
from vec2uage.training.range_test import RangeTest, read_curve, stacked_losses
from vec2uage.training.run_settings import RunSettings, per_run_options
from vec2uage.training.step import Network


@dataclass
class Stack:
    """The runs still training. Every tensor has the run axis first, so that `select` is one indexing.

    What is one number a run stays on the CPU, whatever the device: nothing waits for a device to know its rate.
    """

    runs: list[int]
    orders: list[torch.Generator]
    network: Network
    lr: Tensors  # "base": before any schedule; "scheduled": what the schedule made of it
    schedule_options: Tensors
    schedule_state: Tensors
    stopping_options: Tensors
    stopping_state: Tensors

    def select(self, positions: list[int]) -> None:
        """Keep only the runs at these positions."""
        self.runs = [self.runs[p] for p in positions]
        self.orders = [self.orders[p] for p in positions]
        if not self.runs:
            return
        keep = torch.tensor(positions)
        self.network.select(keep)
        for name in ("lr", "schedule_options", "schedule_state", "stopping_options", "stopping_state"):
            setattr(self, name, {key: tensor[keep] for key, tensor in getattr(self, name).items()})


def assemble(
    runs: Sequence[RunSettings], data: TrainingData, device: torch.device, outcomes: list[Outcome], begun: bool = False
) -> Stack:
    """Draw every run's first weights from its own seed, find its first learning rate, and stack it all.

    Runs that have `begun` need no first rate: theirs stand in their states.
    """
    check(runs[0].trainer.precision, device)
    modules = [models.build(run.model, data.dimension, run.seed).to(device) for run in runs]
    forward, params, buffers = models.stack(modules, runs[0].trainer.precision)
    if buffers and runs[0].optimizer.averages:
        raise UserError(
            f"{runs[0].model.target} has buffers ({', '.join(buffers)}), whose statistics would not belong to "
            f"averaged weights: choose another optimizer than {runs[0].choice('optimizer')}"
        )
    network = Network(
        forward=forward,
        loss=runs[0].loss,
        optimizer=runs[0].optimizer,
        set_training=modules[0].train,
        params=params,
        buffers=buffers,
        options=per_run_options([run.optimizer for run in runs]),
        recordable=all(getattr(part, "recordable", False) for part in (modules[0], runs[0].loss, runs[0].optimizer)),
    )
    network.reset()
    base_lr = network.options["lr"].clone() if begun else first_rates(runs, network, data, outcomes)
    schedule_options = per_run_options([run.lr_schedule for run in runs])
    stopping_options = per_run_options([run.early_stopping for run in runs])
    return Stack(
        runs=list(range(len(runs))),
        orders=[seeds.torch_generator(run.seed, "batches") for run in runs],
        network=network,
        lr={"base": base_lr, "scheduled": base_lr},
        schedule_options=schedule_options,
        schedule_state=runs[0].lr_schedule.init(schedule_options, base_lr),
        stopping_options=stopping_options,
        stopping_state=runs[0].early_stopping.init(stopping_options, base_lr),
    )


def first_rates(
    runs: Sequence[RunSettings], network: Network, data: TrainingData, outcomes: list[Outcome]
) -> Float[Tensor, " K"]:
    """Return the learning rates that training starts with: configured, or found by the range test."""
    rates = network.options["lr"].clone()
    test = runs[0].lr_finder
    if isinstance(test, RangeTest):
        generators = [seeds.torch_generator(run.seed, "range_test") for run in runs]
        losses = stacked_losses(test, network, data.train, generators, runs[0].trainer.batch_size)
        for run, outcome in enumerate(outcomes):
            outcome.curve = read_curve(test, losses[run])
            if outcome.curve.suggestion is None:
                outcome.status = "failed"
                outcome.reason = "the learning-rate range test found no falling loss: change lr_finder.min_lr"
            else:
                rates[run] = outcome.curve.suggestion
    for outcome, rate in zip(outcomes, rates.tolist(), strict=True):
        outcome.lr = rate
    return rates

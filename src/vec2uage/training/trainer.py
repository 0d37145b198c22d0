"""The training loop: K runs from their first weights to their best ones, as one stack.

Read top to bottom: `train_stack` is the loop, and what it calls follows in the order of the calls.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vec2uage.base import seeds
from vec2uage.base.errors import UserError
from vec2uage.runs.result import Status
from vec2uage.training import models
from vec2uage.training.batches import batches, epoch_order
from vec2uage.training.data import TrainingData
from vec2uage.training.optimizers.base import Clock, Tensors
from vec2uage.training.range_test import Curve, RangeTest, read_curve, stacked_losses
from vec2uage.training.spec import RunSettings, per_run_options
from vec2uage.training.step import Network, predict_rows, score, train_step


@dataclass(frozen=True)
class Epoch:
    """One epoch of one run; train figures are running means over the epoch's own steps, sample-weighted."""

    number: int
    lr: float
    train_loss: float
    val_loss: float
    train_mae: float
    val_mae: float


@dataclass
class Outcome:
    """What became of one run; losses, errors (years) and weights are those of the epoch with the best val_loss."""

    status: Status = "interrupted"
    reason: str | None = None
    lr: float | None = None
    curve: Curve | None = None
    epochs: int = 0
    best_epoch: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    test_loss: float | None = None
    train_mae: float | None = None
    val_mae: float | None = None
    test_mae: float | None = None
    predictions: Float[np.ndarray, " N"] | None = None
    weights: Tensors = field(default_factory=dict)
    seconds: float = 0.0


@runtime_checkable
class Observer(Protocol):
    """Who watches a stack train; `run` is the position in the sequence of runs given."""

    def interrupted(self) -> bool:
        """Asked before every step: should all runs end with what they have?"""

    def epoch(self, run: int, epoch: Epoch) -> None:
        """Told of every epoch of every run."""

    def end(self, run: int, outcome: Outcome) -> None:
        """Told once per run, as soon as it has ended."""


@dataclass
class Stack:
    """The runs still training. Every tensor has the run axis first, so that `select` is one indexing."""

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
        keep = torch.tensor(positions, device=self.lr["base"].device)
        self.network.select(keep)
        for name in ("lr", "schedule_options", "schedule_state", "stopping_options", "stopping_state"):
            setattr(self, name, {key: tensor[keep] for key, tensor in getattr(self, name).items()})


def train_stack(runs: Sequence[RunSettings], data: TrainingData, device: torch.device, observer: Observer) -> None:
    """Train runs that share one `stack_key`, each with the numbers it would have alone."""
    began = time.perf_counter()
    outcomes = [Outcome() for _ in runs]
    stack = assemble(runs, data, device, outcomes)
    share_time(stack, outcomes, began)
    leave(stack, data, outcomes, observer)
    max_epochs = runs[0].trainer.max_epochs
    for number in range(max_epochs):
        if not stack.runs:
            return
        began = time.perf_counter()
        means = train_epoch(stack, runs[0], data, number, observer)
        if means is None:
            break
        epochs = validate(stack, data, outcomes, number, means)
        share_time(stack, outcomes, began)
        stops = observe(stack, runs[0], epochs)
        for position, run in enumerate(stack.runs):
            observer.epoch(run, epochs[position])
            if outcomes[run].status == "interrupted" and (stops[position] or number + 1 == max_epochs):
                outcomes[run].status = "completed"
        leave(stack, data, outcomes, observer)
    leave(stack, data, outcomes, observer, everyone=True)


def assemble(runs: Sequence[RunSettings], data: TrainingData, device: torch.device, outcomes: list[Outcome]) -> Stack:
    """Draw every run's first weights from its own seed, find its first learning rate, and stack it all."""
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
        options=per_run_options([run.optimizer for run in runs], device),
    )
    network.reset()
    base_lr = first_rates(runs, network, data, outcomes)
    schedule_options = per_run_options([run.lr_schedule for run in runs], device)
    stopping_options = per_run_options([run.early_stopping for run in runs], device)
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


def train_epoch(
    stack: Stack, settings: RunSettings, data: TrainingData, number: int, observer: Observer
) -> Float[Tensor, "3 K"] | None:
    """Train one pass over the data; return each run's mean loss, MAE and last rate, or None if interrupted."""
    network, rows = stack.network, len(data.train)
    order = epoch_order(stack.orders, rows).to(stack.lr["base"].device)
    steps = math.ceil(rows / settings.trainer.batch_size)
    sums = torch.zeros(3, len(stack.runs), dtype=torch.float64, device=order.device)
    for batch, index in enumerate(batches(order, settings.trainer.batch_size)):
        if observer.interrupted():
            return None
        clock = Clock(number, number * steps + batch, steps, settings.trainer.max_epochs)
        if not network.optimizer.averaging(clock):
            stack.lr["scheduled"] = settings.lr_schedule.lr(
                stack.schedule_options, stack.schedule_state, stack.lr["base"], clock
            )
        lr = network.optimizer.learning_rate(network.options, stack.lr["scheduled"], clock)
        loss, error = train_step(network, *data.train.gather(index), lr)
        network.optimizer.after_step(network.params, network.state, clock)
        sums[0] += loss
        sums[1] += error
    sums[:2] /= rows
    sums[2] = lr
    return sums


def validate(
    stack: Stack, data: TrainingData, outcomes: list[Outcome], number: int, means: Float[Tensor, "3 K"]
) -> list[Epoch]:
    """Score the validation rows with each run's evaluated weights, and keep those that are its best so far."""
    network = stack.network
    weights = network.optimizer.evaluated(network.params, network.state) | network.buffers
    epochs = []
    for position, run in enumerate(stack.runs):
        own = {name: tensor.detach()[position] for name, tensor in weights.items()}
        val_loss, val_mae = score(network, predict_rows(network, own, data.validation), data.validation.age)
        train_loss, train_mae, lr = means[:, position].tolist()
        epoch = Epoch(number, lr, train_loss, val_loss, train_mae, val_mae)
        outcome = outcomes[run]
        outcome.epochs = number + 1
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            outcome.status = "diverged"
            outcome.reason = f"the loss was no longer finite in epoch {number}: try a lower learning rate"
        elif outcome.val_loss is None or val_loss < outcome.val_loss:
            outcome.best_epoch, outcome.val_loss, outcome.val_mae = number, val_loss, val_mae
            outcome.weights = {name: tensor.clone() for name, tensor in own.items()}
        epochs.append(epoch)
    return epochs


def observe(stack: Stack, settings: RunSettings, epochs: list[Epoch]) -> list[bool]:
    """Show the validation losses to schedule and early stopping; return which runs stop."""
    val_loss = torch.tensor([e.val_loss for e in epochs], dtype=torch.float64, device=stack.lr["base"].device)
    settings.lr_schedule.observe(stack.schedule_options, stack.schedule_state, val_loss)
    stops: list[bool] = settings.early_stopping.observe(stack.stopping_options, stack.stopping_state, val_loss).tolist()
    return stops


def leave(
    stack: Stack, data: TrainingData, outcomes: list[Outcome], observer: Observer, everyone: bool = False
) -> None:
    """Take the runs that have ended out of the stack, so that they stop costing, and hand over their outcomes."""
    ended = [run for run in stack.runs if everyone or outcomes[run].status != "interrupted"]
    if not ended:
        return
    for run in ended:
        began = time.perf_counter()
        outcome = outcomes[run]
        if outcome.weights:
            train = predict_rows(stack.network, outcome.weights, data.train)
            test = predict_rows(stack.network, outcome.weights, data.test)
            outcome.train_loss, outcome.train_mae = score(stack.network, train, data.train.age)
            outcome.test_loss, outcome.test_mae = score(stack.network, test, data.test.age)
            outcome.predictions = test.cpu().numpy()
            outcome.weights = {name: tensor.cpu() for name, tensor in outcome.weights.items()}
        outcome.seconds += time.perf_counter() - began
        observer.end(run, outcome)
    stack.select([position for position, run in enumerate(stack.runs) if run not in ended])


def share_time(stack: Stack, outcomes: list[Outcome], began: float) -> None:
    """Charge the wall time since `began` to the runs of the stack in equal parts."""
    for run in stack.runs:
        outcomes[run].seconds += (time.perf_counter() - began) / len(stack.runs)

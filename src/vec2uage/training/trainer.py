"""The training loop: K runs from their first weights to their best ones, as one stack.

Read top to bottom: `train_stack` is the loop, and what it calls follows in the order of the calls.
"""

import math
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from vec2uage.training.batches import batches, epoch_order
from vec2uage.training.checkpoint import Checkpoint, restore, snapshot
from vec2uage.training.cuda_graph import take_step
from vec2uage.training.data import TrainingData
from vec2uage.training.optimizers.base import Clock
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack import Stack, assemble
from vec2uage.training.step import part_scores, predict_rows


@runtime_checkable
class Observer(Protocol):
    """Who watches a stack train; `run` is the position in the sequence of runs given."""

    def interrupted(self) -> bool:
        """Asked before every step: should all runs end with what they have?"""

    def epoch(self, run: int, epoch: Epoch) -> None:
        """Told of every epoch of every run."""

    def checkpoint(self, run: int, state: Checkpoint) -> None:
        """Given what the run can go on from; valid until the next step."""

    def end(self, run: int, outcome: Outcome) -> None:
        """Told once per run, as soon as it has ended."""


def train_stack(
    runs: Sequence[RunSettings],
    data: TrainingData,
    device: torch.device,
    observer: Observer,
    states: Sequence[Checkpoint] = (),
) -> None:
    """Train runs that share one `stack_key`, each with the numbers it would have alone.

    With `states`, one a run and all after the same number of epochs, they go on from there.
    """
    began = time.perf_counter()
    outcomes = [state.outcome for state in states] or [Outcome() for _ in runs]
    stack = assemble(runs, data, device, outcomes, begun=bool(states))
    if states:
        restore(stack, states, runs)
    share_time(stack, outcomes, began)
    leave(stack, runs[0], data, outcomes, observer)
    max_epochs, checkpoint_every = runs[0].trainer.max_epochs, runs[0].trainer.checkpoint_every
    for number in range(outcomes[0].epochs, max_epochs):
        if not stack.runs:
            return
        began = time.perf_counter()
        means = train_epoch(stack, runs[0], data, number, observer)
        if means is None:
            break
        epochs = validate(stack, runs[0], data, outcomes, number, means)
        share_time(stack, outcomes, began)
        stops = observe(stack, runs[0], epochs)
        for position, run in enumerate(stack.runs):
            observer.epoch(run, epochs[position])
            if outcomes[run].status == "interrupted" and (stops[position] or number + 1 == max_epochs):
                outcomes[run].status = "completed"
        leave(stack, runs[0], data, outcomes, observer)
        if stack.runs and checkpoint_every and (number + 1) % checkpoint_every == 0:
            began = time.perf_counter()
            for run, state in zip(stack.runs, snapshot(stack, outcomes), strict=True):
                observer.checkpoint(run, state)
            share_time(stack, outcomes, began)
    leave(stack, runs[0], data, outcomes, observer, everyone=True)


def train_epoch(
    stack: Stack, settings: RunSettings, data: TrainingData, number: int, observer: Observer
) -> Float[Tensor, "3 K"] | None:
    """Train one pass over the data; return each run's mean loss, MAE and last rate, or None if interrupted."""
    network, rows = stack.network, len(data.train)
    order = epoch_order(stack.orders, rows).to(data.train.age.device)
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
        share = rows / (steps * index.shape[1]) if weighing_batches(settings) else 1
        sums[:2].add_(take_step(network, data.train, index, lr), alpha=share)
        network.optimizer.after_step(network.params, network.state, clock)
    sums[:2] /= rows
    sums[2] = lr
    return sums


def validate(
    stack: Stack,
    settings: RunSettings,
    data: TrainingData,
    outcomes: list[Outcome],
    number: int,
    means: Float[Tensor, "3 K"],
) -> list[Epoch]:
    """Score the validation rows with each run's evaluated weights, and keep those that are its best so far."""
    network = stack.network
    weights = network.optimizer.evaluated(network.params, network.state) | network.buffers
    batch_size = weighing_batches(settings)
    epochs = []
    for position, run in enumerate(stack.runs):
        own = {name: tensor.detach()[position] for name, tensor in weights.items()}
        predicted = predict_rows(network, own, data.validation)
        scores = part_scores("validation", network, predicted, data.validation.age, batch_size)
        train_loss, train_mae, lr = means[:, position].tolist()
        epoch = Epoch(number, lr, {"train/loss": train_loss, "train/mae": train_mae, **scores})
        outcome = outcomes[run]
        outcome.epochs = number + 1
        val_loss = scores["validation/loss"]
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            outcome.status = "diverged"
            outcome.reason = f"the loss was no longer finite in epoch {number}: try a lower learning rate"
        elif outcome.best_epoch is None or val_loss < outcome.scores["validation/loss"]:
            outcome.best_epoch, outcome.scores = number, scores
            outcome.weights = {name: tensor.clone() for name, tensor in own.items()}
        epochs.append(epoch)
    return epochs


def observe(stack: Stack, settings: RunSettings, epochs: list[Epoch]) -> list[bool]:
    """Show the validation losses to schedule and early stopping; return which runs stop."""
    losses = [epoch.scores["validation/loss"] for epoch in epochs]
    val_loss = torch.tensor(losses, dtype=torch.float64, device=stack.lr["base"].device)
    settings.lr_schedule.observe(stack.schedule_options, stack.schedule_state, val_loss)
    stops: list[bool] = settings.early_stopping.observe(stack.stopping_options, stack.stopping_state, val_loss).tolist()
    return stops


def leave(
    stack: Stack,
    settings: RunSettings,
    data: TrainingData,
    outcomes: list[Outcome],
    observer: Observer,
    everyone: bool = False,
) -> None:
    """Take the runs that have ended out of the stack, so that they stop costing, and hand over their outcomes."""
    ended = [run for run in stack.runs if everyone or outcomes[run].status != "interrupted"]
    if not ended:
        return
    batch_size = weighing_batches(settings)
    for run in ended:
        began = time.perf_counter()
        outcome = outcomes[run]
        if outcome.weights:
            train = predict_rows(stack.network, outcome.weights, data.train)
            test = predict_rows(stack.network, outcome.weights, data.test)
            outcome.scores |= part_scores("train", stack.network, train, data.train.age, batch_size)
            outcome.scores |= part_scores("test", stack.network, test, data.test.age, batch_size)
            outcome.predictions = test.cpu().numpy()
            outcome.weights = {name: tensor.cpu() for name, tensor in outcome.weights.items()}
        outcome.seconds += time.perf_counter() - began
        observer.end(run, outcome)
    stack.select([position for position, run in enumerate(stack.runs) if run not in ended])


def weighing_batches(settings: RunSettings) -> int | None:
    """Return the rows of a batch where figures are means over batches, None where they are means over rows."""
    return settings.trainer.batch_size if settings.trainer.mean_over == "batches" else None


def share_time(stack: Stack, outcomes: list[Outcome], began: float) -> None:
    """Charge the wall time since `began` to the runs of the stack in equal parts."""
    for run in stack.runs:
        outcomes[run].seconds += (time.perf_counter() - began) / len(stack.runs)

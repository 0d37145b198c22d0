"""The story of training: K runs from their first weights to their best ones, as one stack.

Read top to bottom: `train_stack` is the whole of it, and what it calls follows in the order of the calls.
"""

import math
import time
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.base import seeds
from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.training import models, precision
from vec2uage.training.checkpoint import Checkpoint, restore, snapshot
from vec2uage.training.cuda_graph import graphed_step
from vec2uage.training.data import Faces
from vec2uage.training.inputs import Inputs, batches, epoch_order
from vec2uage.training.learners.base import Observer
from vec2uage.training.monitor import badness
from vec2uage.training.network import Network, evaluate, part_scores, prediction
from vec2uage.training.optimizers.base import TrainProgress
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.range_test import RangeTest, read_curve
from vec2uage.training.regularization import perturbation
from vec2uage.training.run_settings import RunSettings, per_run_options
from vec2uage.training.stack import PerRun, Stack


def train_stack(
    runs: Sequence[RunSettings],
    data: Faces,
    device: torch.device,
    observer: Observer,
    checkpoints: Sequence[Checkpoint] = (),
) -> None:
    """Train runs that share one stack key, each with the numbers it would have alone.

    With `checkpoints`, one a run and all after the same number of epochs, they go on from there.
    """
    began = time.perf_counter()
    outcomes = [checkpoint.outcome for checkpoint in checkpoints] or [Outcome() for _ in runs]
    stack = first_weights(runs, data, device)
    if checkpoints:
        restore(stack, checkpoints, runs)
    else:
        first_learning_rates(stack, runs, data, outcomes)
    charge_time(stack, outcomes, began)
    retire_finished(stack, runs, data, outcomes, observer)
    settings = runs[0].trainer
    for epoch in range(outcomes[0].epochs, settings.max_epochs):
        if not stack.runs:
            return
        began = time.perf_counter()
        means = train_epoch(stack, runs, data, epoch, observer)
        if means is None:
            break
        epochs = validate(stack, runs[0], data, outcomes, epoch, means)
        charge_time(stack, outcomes, began)
        stops = update_schedules(stack, runs[0], epochs)
        for position, run in enumerate(stack.runs):
            observer.epoch(run, epochs[position])
            if outcomes[run].status == "running" and (stops[position] or epoch + 1 == settings.max_epochs):
                complete(outcomes[run], runs[run])
        retire_finished(stack, runs, data, outcomes, observer)
        if stack.runs and settings.checkpoint_every and (epoch + 1) % settings.checkpoint_every == 0:
            began = time.perf_counter()
            for run, checkpoint in zip(stack.runs, snapshot(stack, outcomes), strict=True):
                observer.checkpoint(run, checkpoint)
            charge_time(stack, outcomes, began)
    for run in stack.runs:
        outcomes[run].status = "interrupted"
    retire_finished(stack, runs, data, outcomes, observer)


def first_weights(runs: Sequence[RunSettings], data: Faces, device: torch.device) -> Stack:
    """Draw every run's first weights from its own seed, and stack them with all that trains them."""
    first = runs[0]
    precision.check(first.trainer.precision, device)
    outputs = first.head.outputs
    modules = [
        models.build(run.model, data.dimension, outputs, run.seed, first.head.tied_outputs).to(device) for run in runs
    ]
    forward, params, buffers = models.stack(modules, outputs, first.trainer.precision)
    if buffers and first.averaging.averages and not getattr(modules[0], "fixed_buffers", False):
        raise UserError(
            f"{first.model.target} has buffers ({', '.join(buffers)}), whose statistics would not belong to averaged "
            f"weights: set averaging=none, not {first.choice('averaging')}"
        )
    network = Network(
        forward=forward,
        head=first.head,
        optimizer=models.optimizer_of(modules[0], first.optimizer),
        set_training=modules[0].train,
        params=params,
        buffers=buffers,
        options=per_run_options([run.optimizer for run in runs]),
        cuda_graph_safe=not first.regularization.in_use
        and all(getattr(part, "cuda_graph_safe", False) for part in (modules[0], first.head, first.optimizer)),
    )
    network.reset()
    averaging, schedule, stopping = (
        per_run_options([getattr(run, name) for run in runs]) for name in ("averaging", "lr_schedule", "early_stopping")
    )
    base_lr = network.options["lr"].clone()
    return Stack(
        runs=list(range(len(runs))),
        orders=[seeds.torch_generator(run.seed, "batches") for run in runs],
        network=network,
        lr={"base": base_lr, "scheduled": base_lr},
        averaging=PerRun(averaging, first.averaging.init(averaging, params)),
        schedule=PerRun(schedule, first.lr_schedule.init(schedule, base_lr)),
        stopping=PerRun(stopping, first.early_stopping.init(stopping, base_lr)),
    )


def first_learning_rates(stack: Stack, runs: Sequence[RunSettings], data: Faces, outcomes: list[Outcome]) -> None:
    """Give each run the learning rate that it begins with: the configured one, or what a range test suggests."""
    rates, test = stack.network.options["lr"].clone(), runs[0].lr_finder
    if isinstance(test, RangeTest):
        losses = range_test_losses(test, stack.network, runs, data.train)
        for run, outcome in enumerate(outcomes):
            outcome.curve = read_curve(test, losses[run].numpy())
            if outcome.curve.suggestion is None:
                outcome.status = "failed"
                outcome.reason = "the learning-rate range test found no falling loss: change lr_finder.min_lr"
            else:
                rates[run] = outcome.curve.suggestion
    for outcome, rate in zip(outcomes, rates.tolist(), strict=True):
        outcome.lr = rate
    stack.lr = {"base": rates, "scheduled": rates}
    stack.schedule.state = runs[0].lr_schedule.init(stack.schedule.options, rates)


def range_test_losses(
    test: RangeTest, network: Network, runs: Sequence[RunSettings], train: Inputs
) -> Float[Tensor, "K steps"]:
    """Train copies of the networks with growing rates; return the mean loss of every batch.

    Weights, optimiser and the runs' own random state stay untouched: the data order has generators of its own.
    """
    copies, rates = network.copy(), torch.from_numpy(test.rates())
    copies.perturbation = perturbation(runs, train, "range_test")
    losses: list[Tensor] = []
    generators = [seeds.torch_generator(run.seed, "range_test") for run in runs]
    while len(losses) < test.steps:
        order = epoch_order(generators, len(train)).to(train.age.device)
        for index in batches(order, runs[0].trainer.batch_size):
            lr = rates[len(losses)].expand(len(index))
            losses.append(graphed_step(train_step, copies, train, index, lr)[0] / index.shape[1])
            if len(losses) == test.steps:
                break
    return torch.stack(losses, dim=1).cpu()


def train_epoch(
    stack: Stack, runs: Sequence[RunSettings], data: Faces, epoch: int, observer: Observer
) -> Float[Tensor, "3 K"] | None:
    """Train one pass over the data; return each run's mean loss, MAE and last rate, or None if interrupted."""
    settings, network, rows, averaging = runs[0], stack.network, len(data.train), runs[0].averaging
    network.perturbation = perturbation([runs[run] for run in stack.runs], data.train, "epoch", str(epoch))
    order = epoch_order(stack.orders, rows).to(data.train.age.device)
    steps = math.ceil(rows / settings.trainer.batch_size)
    sums = torch.zeros(3, len(stack.runs), dtype=torch.float64, device=order.device)
    for batch, index in enumerate(batches(order, settings.trainer.batch_size)):
        if observer.interrupted():
            return None
        progress = TrainProgress(epoch, epoch * steps + batch, steps, settings.trainer.max_epochs)
        if not averaging.has_begun(progress):
            stack.lr["scheduled"] = settings.lr_schedule.lr(
                stack.schedule.options, stack.schedule.state, stack.lr["base"], progress
            )
        lr = averaging.learning_rate(stack.averaging.options, stack.lr["scheduled"], progress)
        weight = rows / (steps * index.shape[1]) if settings.trainer.mean_over == "batches" else 1
        sums[:2].add_(graphed_step(train_step, network, data.train, index, lr), alpha=weight)
        averaging.update(stack.averaging.options, network.params, stack.averaging.state, progress)
    sums[:2] /= rows
    sums[2] = lr
    return sums


@torch.no_grad()
def train_step(
    network: Network, inputs: Inputs, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]
) -> Float[Tensor, "2 K"]:
    """Take one step on each run's own faces `index` with the learning rates `lr` (float64).

    Return the summed losses and the summed absolute errors (years) of each run's batch, in float64, every face counting
    by its weight. Nothing here waits for a number from the device, so that `cuda_graph` can capture all of it, unless
    random numbers are drawn.
    """
    x, age, weight = network.perturbation.of_batch(inputs.gather(index))
    masks = network.perturbation.masks(network.forward.hidden_widths, index.shape[1])
    with precision.products(network.forward.precision):
        raw, backward = network.forward.backward(network.params, network.buffers, x, *masks)
        losses, gradient = network.head.loss_with_gradient(raw, age)
        of_mean = gradient * (weight * (1 / index.shape[1]))[..., None]
        network.optimizer.apply_backward(network.options, network.params, backward, of_mean, network.state, lr)
    return (torch.stack([losses, (network.head.point(raw) - age).abs()]) * weight).sum(2, dtype=torch.float64)


def validate(
    stack: Stack,
    settings: RunSettings,
    data: Faces,
    outcomes: list[Outcome],
    epoch: int,
    means: Float[Tensor, "3 K"],
) -> list[Epoch]:
    """Score the validation faces with the weights that each run is judged by, and keep those that are its best.

    Where the averaging has a posterior, the best epoch is one of those that have it.
    """
    network, averaging, validation = stack.network, settings.averaging, data.parts["validation"]
    weights = averaging.evaluated(network.params, stack.averaging.state) | network.buffers
    posteriors = averaging.posterior(stack.averaging.state)
    epochs = []
    for position, run in enumerate(stack.runs):
        own = {name: tensor.detach()[position] for name, tensor in weights.items()}
        posterior = {name: tensor[position] for name, tensor in posteriors.items()}
        raw = evaluate(network, {name: tensor[None] for name, tensor in own.items()}, validation)
        batch_size = settings.trainer.scored_batch
        scores = part_scores("validation", network.head, raw, validation, batch_size, every_epoch=True)
        train_loss, train_mae, lr = means[:, position].tolist()
        outcome, monitor = outcomes[run], settings.trainer.monitor
        outcome.epochs = epoch + 1
        if not (math.isfinite(train_loss) and math.isfinite(scores["validation/loss"])):
            outcome.status = "diverged"
            outcome.reason = f"the loss was no longer finite in epoch {epoch}: try a lower learning rate"
        elif (
            outcome.best_epoch is None
            or (averaging.is_drawn(posterior) and not averaging.is_drawn(outcome.posterior))
            or badness(monitor, scores) < badness(monitor, outcome.scores)
        ):
            outcome.best_epoch, outcome.scores = epoch, scores
            outcome.weights = {name: tensor.clone() for name, tensor in own.items()}
            outcome.posterior = {name: tensor.clone() for name, tensor in posterior.items()}
        epochs.append(Epoch(epoch, lr, {"train/loss": train_loss, "train/mae": train_mae, **scores}))
    return epochs


def update_schedules(stack: Stack, settings: RunSettings, epochs: list[Epoch]) -> list[bool]:
    """Show schedule and early stopping the scores that they monitor; return which runs stop now."""

    def monitored(monitor: str) -> Float[Tensor, " K"]:
        return torch.tensor([badness(monitor, scored.scores) for scored in epochs], dtype=torch.float64)

    schedule, stopping = settings.lr_schedule, settings.early_stopping
    schedule.update(stack.schedule.options, stack.schedule.state, monitored(schedule.monitor))
    stops: list[bool] = stopping.update(
        stack.stopping.options, stack.stopping.state, monitored(stopping.monitor)
    ).tolist()
    return stops


def complete(outcome: Outcome, settings: RunSettings) -> None:
    """End a run that has trained as long as it should: as failed, where a score that should have steered it did not."""
    outcome.status = "completed"
    for part in (settings.trainer, settings.early_stopping, settings.lr_schedule):
        if not math.isfinite(badness(part.monitor, outcome.scores)):
            outcome.status = "failed"
            outcome.reason = (
                f"{part.monitor} was not finite even in the best epoch, so nothing can be steered by it: monitor "
                "validation/loss or validation/crps"
            )


def retire_finished(
    stack: Stack, runs: Sequence[RunSettings], data: Faces, outcomes: list[Outcome], observer: Observer
) -> None:
    """Take the runs that no longer train out of the stack, so that they stop costing, and hand over their outcomes.

    What is scored on all parts and saved are the members that the averaging makes of a run's best weights: these
    themselves, or several drawn about them.
    """
    finished = [run for run in stack.runs if outcomes[run].status != "running"]
    if not finished:
        return
    network = stack.network
    for run in finished:
        began = time.perf_counter()
        outcome = outcomes[run]
        if outcome.weights:
            outcome.weights, outcome.posterior = (
                {name: tensor.cpu() for name, tensor in best.items()} for best in (outcome.weights, outcome.posterior)
            )
            generator = seeds.torch_generator(runs[run].seed, "members")
            with threads(1):  # the bits of a matrix product can depend on how many there are
                members = runs[run].averaging.members(outcome.weights, outcome.posterior, generator)
            for part, inputs in data.parts.items():
                raw = evaluate(network, members, inputs)
                outcome.scores |= part_scores(part, network.head, raw, inputs, runs[run].trainer.scored_batch)
                if part == "test":
                    outcome.prediction = prediction(network.head, raw)
            outcome.model = data.model_of(runs[run], members)
        outcome.seconds += time.perf_counter() - began
        observer.end(run, outcome)
        outcomes[run] = Outcome(outcome.status)  # without the weights: those of hundreds of runs would pile up
    stack.select([position for position, run in enumerate(stack.runs) if run not in finished])


def charge_time(stack: Stack, outcomes: list[Outcome], began: float) -> None:
    """Charge the wall time since `began` to the runs of the stack in equal parts."""
    for run in stack.runs:
        outcomes[run].seconds += (time.perf_counter() - began) / len(stack.runs)

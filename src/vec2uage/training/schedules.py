"""Learning-rate schedules of stacked runs: `[K]` rates from the progress and, for the plateau, the losses seen."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.monitor import Monitor
from vec2uage.training.optimizers.base import Tensors, TrainProgress


@settings
class Schedule:
    """Base: a constant rate. `options` and `state` are dicts of `[K]` tensors, as for optimisers."""

    monitor: ClassVar[Monitor] = "validation/loss"
    per_run: ClassVar[tuple[str, ...]] = ()

    def init(self, options: Tensors, base_lr: Float[Tensor, " K"]) -> Tensors:
        """Return the state before the first epoch."""
        return {}

    def lr(
        self, options: Tensors, state: Tensors, base_lr: Float[Tensor, " K"], progress: TrainProgress
    ) -> Float[Tensor, " K"]:
        """Return the learning rate of each run for the step that `progress` names."""
        return base_lr

    def update(self, options: Tensors, state: Tensors, monitored: Float[Tensor, " K"]) -> None:
        """Take notice of the score `monitor` of an epoch, lower being better."""


@settings
class Constant(Schedule):
    """The optimiser's learning rate throughout."""


@settings
class Plateau(Schedule):
    """Multiply by `factor` once the score `monitor` has not improved for more than `patience` epochs.

    Twin of `torch.optim.lr_scheduler.ReduceLROnPlateau` (mode min, relative threshold, no cooldown, eps 0); patience 5
    and factor 0.1 stand in the authors' code only.
    """

    monitor: Monitor = "validation/loss"  # type: ignore[misc]
    patience: Annotated[int, Field(ge=0)]
    factor: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[float, Field(ge=0)]
    min_lr: Annotated[float, Field(ge=0)]
    per_run: ClassVar[tuple[str, ...]] = ("patience", "factor", "threshold", "min_lr")

    def init(self, options: Tensors, base_lr: Tensor) -> Tensors:
        return {
            "lr": base_lr.clone(),
            "best": torch.full_like(base_lr, math.inf),
            "bad": torch.zeros_like(base_lr),
        }

    def lr(self, options: Tensors, state: Tensors, base_lr: Tensor, progress: TrainProgress) -> Tensor:
        return state["lr"]

    def update(self, options: Tensors, state: Tensors, monitored: Tensor) -> None:
        towards_better = torch.where(state["best"] >= 0, -options["threshold"], options["threshold"])
        better = monitored < state["best"] * (1 + towards_better)
        state["best"] = torch.where(better, monitored, state["best"])
        bad = torch.where(better, 0, state["bad"] + 1)
        reduce = bad > options["patience"]
        reduced = torch.maximum(state["lr"] * options["factor"], options["min_lr"])
        state["lr"] = torch.where(reduce, torch.minimum(state["lr"], reduced), state["lr"])
        state["bad"] = torch.where(reduce, 0, bad)


@settings
class Cosine(Schedule):
    """Half a cosine from the learning rate to `min_lr` over all steps (Loshchilov and Hutter 2017)."""

    min_lr: Annotated[float, Field(ge=0)]
    per_run: ClassVar[tuple[str, ...]] = ("min_lr",)

    def lr(self, options: Tensors, state: Tensors, base_lr: Tensor, progress: TrainProgress) -> Tensor:
        low = options["min_lr"]
        return low + (base_lr - low) * (1 + math.cos(math.pi * progress.step / progress.total_steps)) / 2


@settings
class OneCycle(Schedule):
    """Up to the optimiser's learning rate and down far below (Smith and Topin 2018).

    Twin of `torch.optim.lr_scheduler.OneCycleLR` with cosine annealing and no momentum cycle; the optimiser's
    lr is its `max_lr`.
    """

    warmup: Annotated[float, Field(gt=0, lt=1)]
    start_divisor: Annotated[float, Field(ge=1)]
    final_divisor: Annotated[float, Field(ge=1)]
    per_run: ClassVar[tuple[str, ...]] = ("warmup", "start_divisor", "final_divisor")

    def lr(self, options: Tensors, state: Tensors, base_lr: Tensor, progress: TrainProgress) -> Tensor:
        start = base_lr / options["start_divisor"]
        final = start / options["final_divisor"]
        turn = options["warmup"] * progress.total_steps - 1
        last = progress.total_steps - 1
        rising = _anneal(start, base_lr, progress.step / turn)
        falling = _anneal(base_lr, final, (progress.step - turn) / (last - turn))
        return torch.where(turn > progress.step, rising, falling)


@settings
class Cyclic(Schedule):
    """Triangles between `low` times the learning rate and the learning rate (Smith 2017, triangular policies).

    Twin of `torch.optim.lr_scheduler.CyclicLR` without momentum cycling; `halving` is its "triangular2".
    """

    low: Annotated[float, Field(gt=0, le=1)]
    epochs_up: Annotated[float, Field(gt=0)]
    mode: Literal["constant", "halving"]
    per_run: ClassVar[tuple[str, ...]] = ("low", "epochs_up")

    def lr(self, options: Tensors, state: Tensors, base_lr: Tensor, progress: TrainProgress) -> Tensor:
        position = progress.step / (2 * options["epochs_up"] * progress.steps_per_epoch)
        cycle = position.floor()
        height = 1 - (2 * (position - cycle) - 1).abs()
        scale = 2.0**-cycle if self.mode == "halving" else 1.0
        bottom = base_lr * options["low"]
        return bottom + (base_lr - bottom) * height * scale


def _anneal(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return end + (start - end) * (1 + torch.cos(math.pi * share)) / 2

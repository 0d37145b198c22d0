"""Stochastic weight averaging (Izmailov et al. 2018), and what the paper's authors ran under that name."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.base.formatting import counted
from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import Clock, Tensors, spread, steps_taken, zeros_like
from vec2uage.training.optimizers.sgd import SGD


@settings
class SWA(SGD):
    """SGD whose weights are averaged from `start` on, every `freq` epochs or steps.

    From `start` the learning rate goes from the schedule's last value to `swa_lr` within `anneal` units, and
    the average, once it exists, is what validation, early stopping and the checkpoint see. The average is
    returned by `evaluated`, never swapped into the weights that are trained.
    """

    start: Annotated[int, Field(ge=0)]
    freq: Annotated[int, Field(ge=1)]
    unit: Literal["epoch", "step"]
    swa_lr: Annotated[float, Field(gt=0)]
    anneal: Annotated[int, Field(ge=0)]
    anneal_strategy: Literal["linear", "cosine"]
    per_run: ClassVar[tuple[str, ...]] = (*SGD.per_run, "swa_lr")
    averages: ClassVar[bool] = True

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return {"count": steps_taken(params)} | super().init(options, params) | zeros_like(params, "average")

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        momentum = {name: tensor for name, tensor in state.items() if name.startswith("momentum/")}
        super().step(options, params, grads, momentum, lr)

    def averaging(self, clock: Clock) -> bool:
        return self._elapsed(clock) >= 0

    def caution(self, max_epochs: int, steps_per_epoch: int) -> str:
        units = max_epochs * (1 if self.unit == "epoch" else steps_per_epoch)
        averaged = max(0, -(-(units - self.start) // self.freq))
        if averaged > 1:
            return ""
        return f"optimizer.start = {self.start} of {counted(units, self.unit)}: the weights of {averaged} are averaged"

    def learning_rate(self, options: Tensors, scheduled: Tensor, clock: Clock) -> Tensor:
        elapsed = self._elapsed(clock)
        if elapsed < 0:
            return scheduled
        share = 1.0 if self.anneal == 0 else min(1.0, elapsed / self.anneal)
        if self.anneal_strategy == "cosine":
            share = (1 - float(torch.cos(torch.tensor(torch.pi * share, dtype=torch.float64)))) / 2
        return scheduled + share * (options["swa_lr"] - scheduled)

    @torch.no_grad()
    def after_step(self, params: Tensors, state: Tensors, clock: Clock) -> None:
        ends_unit = self.unit == "step" or (clock.step + 1) % clock.steps_per_epoch == 0
        elapsed = self._elapsed(clock)
        if elapsed < 0 or not ends_unit or elapsed % self.freq:
            return
        count = state["count"].add_(1)
        for name, p in params.items():
            state[f"average/{name}"].lerp_(p, spread(1 / count, p))

    def evaluated(self, params: Tensors, state: Tensors) -> Tensors:
        if not bool((state["count"] > 0).all()):
            return params
        return {name: state[f"average/{name}"] for name in params}

    def _elapsed(self, clock: Clock) -> int:
        """Epochs or steps since averaging began; negative before."""
        return (clock.epoch if self.unit == "epoch" else clock.step) - self.start


@settings
class SWAPublished(SGD):
    """The "SWA" of the authors' released code: plain SGD whose learning rate is `swa_lr` from step `start` on.

    torchcontrib's wrapper resets the learning rate at every step once `swa_start` steps have passed,
    whatever the schedule or the range test say, and the code never swapped its averages in. Its `swa_freq`
    (5) therefore changed nothing and is no option here.
    """

    start: Annotated[int, Field(ge=0)]
    swa_lr: Annotated[float, Field(gt=0)]
    per_run: ClassVar[tuple[str, ...]] = (*SGD.per_run, "swa_lr")

    def learning_rate(self, options: Tensors, scheduled: Tensor, clock: Clock) -> Tensor:
        return scheduled if clock.step < self.start else options["swa_lr"]

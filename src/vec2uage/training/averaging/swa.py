"""Stochastic weight averaging (Izmailov et al. 2018)."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.base.formatting import counted
from vec2uage.config.settings import PositiveInt, settings
from vec2uage.training.averaging.base import Averaging
from vec2uage.training.optimizers.base import Tensors, TrainProgress, expand_per_run, steps_taken, zeros_like


@settings
class SWA(Averaging):
    """Averages the weights from `start` on, every `freq` epochs or steps.

    From `start` the learning rate goes from the schedule's last value to `swa_lr` within `anneal` units. The average,
    once it exists, is what validation, early stopping and the saved model see; it is returned by `evaluated`, never
    swapped into the weights that train.
    """

    start: Annotated[int, Field(ge=0)]
    freq: PositiveInt
    unit: Literal["epoch", "step"]
    swa_lr: Annotated[float, Field(gt=0)]
    anneal: Annotated[int, Field(ge=0)]
    anneal_strategy: Literal["linear", "cosine"]
    per_run: ClassVar[tuple[str, ...]] = ("swa_lr",)
    averages: ClassVar[bool] = True

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return {"count": steps_taken(params)} | zeros_like(params, "average")

    def has_begun(self, progress: TrainProgress) -> bool:
        return self._elapsed(progress) >= 0

    def learning_rate(self, options: Tensors, scheduled: Tensor, progress: TrainProgress) -> Tensor:
        elapsed = self._elapsed(progress)
        if elapsed < 0:
            return scheduled
        share = 1.0 if self.anneal == 0 else min(1.0, elapsed / self.anneal)
        if self.anneal_strategy == "cosine":
            share = (1 - float(torch.cos(torch.tensor(torch.pi * share, dtype=torch.float64)))) / 2
        return scheduled + share * (options["swa_lr"] - scheduled)

    @torch.no_grad()
    def update(self, options: Tensors, params: Tensors, state: Tensors, progress: TrainProgress) -> None:
        if not self.takes(progress):
            return
        count = state["count"].add_(1)
        for name, p in params.items():
            state[f"average/{name}"].lerp_(p, expand_per_run(1 / count, p))

    def evaluated(self, params: Tensors, state: Tensors) -> Tensors:
        if not bool((state["count"] > 0).all()):
            return params
        return {name: state[f"average/{name}"] for name in params}

    def warning(self, max_epochs: int, steps_per_epoch: int) -> str:
        units = max_epochs * (1 if self.unit == "epoch" else steps_per_epoch)
        averaged = max(0, -(-(units - self.start) // self.freq))
        if averaged > 1:
            return ""
        return f"averaging.start = {self.start} of {counted(units, self.unit)}: the weights of {averaged} are averaged"

    def takes(self, progress: TrainProgress) -> bool:
        """Tell whether the weights after this step enter the average."""
        ends_unit = self.unit == "step" or (progress.step + 1) % progress.steps_per_epoch == 0
        elapsed = self._elapsed(progress)
        return elapsed >= 0 and ends_unit and elapsed % self.freq == 0

    def _elapsed(self, progress: TrainProgress) -> int:
        """Epochs or steps since averaging began; negative before."""
        return (progress.epoch if self.unit == "epoch" else progress.step) - self.start

"""Early stopping of stacked runs: which of them have waited long enough."""

import math
from typing import Annotated, ClassVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.training.monitor import Monitor
from vec2uage.training.optimizers.base import Tensors


@settings
class NoEarlyStopping:
    """Train for `trainer.max_epochs`."""

    monitor: ClassVar[Monitor] = "validation/loss"
    per_run: ClassVar[tuple[str, ...]] = ()

    def init(self, options: Tensors, like: Float[Tensor, " K"]) -> Tensors:
        """Return the state before the first epoch."""
        return {}

    def update(self, options: Tensors, state: Tensors, monitored: Float[Tensor, " K"]) -> Bool[Tensor, " K"]:
        """Take notice of an epoch's score, lower being better; return which runs stop now."""
        return torch.zeros_like(monitored, dtype=torch.bool)


@settings
class Patience(NoEarlyStopping):
    """Stop after `patience` epochs in a row without a score better than the best by `min_delta`.

    The paper's rule is patience 10 (section 3.6).
    """

    monitor: Monitor = "validation/loss"  # type: ignore[misc]
    """The score that is watched."""
    patience: PositiveInt
    min_delta: Annotated[float, Field(ge=0)]
    per_run: ClassVar[tuple[str, ...]] = ("patience", "min_delta")

    def init(self, options: Tensors, like: Tensor) -> Tensors:
        return {"best": torch.full_like(like, math.inf), "waited": torch.zeros_like(like)}

    def update(self, options: Tensors, state: Tensors, monitored: Tensor) -> Tensor:
        better = monitored < state["best"] - options["min_delta"]
        state["best"] = torch.where(better, monitored, state["best"])
        state["waited"] = torch.where(better, 0, state["waited"] + 1)
        return state["waited"] >= options["patience"]

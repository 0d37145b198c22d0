"""Exponential moving average of the weights (Polyak and Juditsky 1992; as in Kingma and Ba 2015, section 7.2)."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.training.averaging.base import Averaging
from vec2uage.training.optimizers.base import Tensors, TrainProgress, expand_per_run, zeros_like


@settings
class EMA(Averaging):
    """Averages the weights after every step, each weighing `decay` times as much as the next one.

    Corrected for its beginning, as the moments of Adam are: after n steps the weights of step i have the share
    `decay^(n - i) (1 - decay) / (1 - decay^n)`. Nothing of the random first weights is in it. Schedules go on. The
    average is what validation, early stopping and the saved model see; it is never swapped into the weights that train.
    """

    decay: Annotated[float, Field(ge=0, lt=1)]
    per_run: ClassVar[tuple[str, ...]] = ("decay",)
    averages: ClassVar[bool] = True

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return zeros_like(params, "average")

    @torch.no_grad()
    def update(self, options: Tensors, params: Tensors, state: Tensors, progress: TrainProgress) -> None:
        # Of the newest weights; by plain numbers, since a power has other bits at another place of a tensor.
        shares = [(1 - decay) / (1 - decay ** (progress.step + 1)) for decay in options["decay"].tolist()]
        for name, p in params.items():
            state[f"average/{name}"].lerp_(p, expand_per_run(p.new_tensor(shares), p))

    def evaluated(self, params: Tensors, state: Tensors) -> Tensors:
        return {name: state[f"average/{name}"] for name in params}

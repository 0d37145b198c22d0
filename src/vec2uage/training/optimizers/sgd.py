"""Stochastic gradient descent, with momentum and weight decay (Robbins and Monro 1951; Polyak 1964)."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors, any_set, single, spread, zeros_like


@settings
class SGD(StackedOptimizer):
    """Twin of `torch.optim.SGD` (no dampening, no Nesterov): `v = m v + g + wd p`, `p -= lr v`."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    per_run: ClassVar[tuple[str, ...]] = ("lr", "momentum", "weight_decay")

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return zeros_like(params, "momentum") if any_set(options["momentum"]) else {}

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        decays = any_set(options["weight_decay"])
        lr, momentum, weight_decay = (single(o) for o in (lr, options["momentum"], options["weight_decay"]))
        for name, p in params.items():
            update = grads[name]
            if decays:
                update = update.addcmul(p, spread(weight_decay, p))
            if state:
                update = state[f"momentum/{name}"].mul_(spread(momentum, p)).add_(update)
            p.addcmul_(update, spread(lr, p), value=-1)

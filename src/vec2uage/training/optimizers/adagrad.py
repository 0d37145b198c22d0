"""Adagrad (Duchi, Hazan and Singer 2011): each weight's step shrinks with the gradients it has seen."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors, any_set, single, spread, zeros_like


@settings
class Adagrad(StackedOptimizer):
    """Twin of `torch.optim.Adagrad`."""

    lr_decay: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    initial_accumulator: Annotated[float, Field(ge=0)] = 0.0
    eps: Annotated[float, Field(gt=0)] = 1e-10
    per_run: ClassVar[tuple[str, ...]] = ("lr", "lr_decay", "weight_decay", "initial_accumulator", "eps")

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        sums = zeros_like(params, "sum")
        for tensor in sums.values():
            tensor.add_(spread(single(options["initial_accumulator"]), tensor))
        return {"steps": torch.zeros_like(options["lr"])} | sums

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        decayed = single(lr / (1 + state["steps"] * options["lr_decay"]))
        eps, weight_decay = single(options["eps"]), single(options["weight_decay"])
        state["steps"].add_(1)
        decays = any_set(options["weight_decay"])
        for name, p in params.items():
            g = grads[name]
            if decays:
                g = g.addcmul(p, spread(weight_decay, p))
            total = state[f"sum/{name}"].addcmul_(g, g)
            p.addcdiv_(g * spread(decayed, p), total.sqrt().add_(spread(eps, p)), value=-1)

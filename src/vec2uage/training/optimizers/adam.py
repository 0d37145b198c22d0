"""Adam (Kingma and Ba 2015, algorithm 1), with the L2 weight decay of `torch.optim.Adam`."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors, any_set, single, spread, zeros_like


@settings
class Adam(StackedOptimizer):
    """Twin of `torch.optim.Adam`."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    per_run: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps", "weight_decay")

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        steps = {"steps": torch.zeros_like(options["lr"])}
        return steps | zeros_like(params, "first") | zeros_like(params, "second")

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        steps = state["steps"].add_(1)
        beta1, beta2 = options["beta1"], options["beta2"]
        step_size, root_correction = single(lr / (1 - beta1**steps)), single((1 - beta2**steps).sqrt())
        fresh1, kept2, fresh2 = single(1 - beta1), single(beta2), single(1 - beta2)
        eps, weight_decay = single(options["eps"]), single(options["weight_decay"])
        decays = any_set(options["weight_decay"])
        for name, p in params.items():
            g = grads[name]
            if decays:
                g = g.addcmul(p, spread(weight_decay, p))
            first = state[f"first/{name}"].lerp_(g, spread(fresh1, p))
            second = state[f"second/{name}"].mul_(spread(kept2, p)).addcmul_(g * spread(fresh2, p), g)
            denominator = second.sqrt().div_(spread(root_correction, p)).add_(spread(eps, p))
            p.addcdiv_(first * spread(step_size, p), denominator, value=-1)

"""Adam (Kingma and Ba 2015, algorithm 1), with the L2 weight decay of `torch.optim.Adam`."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors, each_run, rates, steps_taken, zeros_like


@settings
class Adam(StackedOptimizer):
    """`torch.optim.Adam(fused=True)`: one pass over the weights of each run."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    per_run: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps", "weight_decay")

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return {"steps": steps_taken(params)} | zeros_like(params, "first") | zeros_like(params, "second")

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        runs = zip(
            each_run(params),
            each_run(params, grads),
            each_run(params, state, "first/"),
            each_run(params, state, "second/"),
            state["steps"].add_(1),
            rates(lr, params),
            *(options[name].tolist() for name in ("beta1", "beta2", "eps", "weight_decay")),
            strict=True,
        )
        for p, g, first, second, steps, own_lr, beta1, beta2, eps, weight_decay in runs:
            torch._fused_adam_(
                p,
                g,
                first,
                second,
                [],
                [steps] * len(p),
                lr=own_lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
                weight_decay=weight_decay,
                amsgrad=False,
                maximize=False,
            )

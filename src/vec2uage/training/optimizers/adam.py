"""Adam (Kingma and Ba 2015, algorithm 1), with the L2 weight decay of `torch.optim.Adam`."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors, run_by_run, steps_taken, zeros_like


@settings
class Adam(StackedOptimizer):
    """`torch.optim.Adam(fused=True)`: one pass over the weights of each run."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    per_run: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps", "weight_decay")
    cuda_graph_safe: ClassVar[bool] = True

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return {"steps": steps_taken(params)} | zeros_like(params, "first") | zeros_like(params, "second")

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        for run in run_by_run(options, params, grads, state, lr, ("first", "second")):
            torch._fused_adam_(
                run.params,
                run.grads,
                run.state["first"],
                run.state["second"],
                [],
                run.steps,
                lr=run.lr,
                beta1=run.options["beta1"],
                beta2=run.options["beta2"],
                eps=run.options["eps"],
                weight_decay=run.options["weight_decay"],
                amsgrad=False,
                maximize=False,
            )

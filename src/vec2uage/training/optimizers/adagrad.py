"""Adagrad (Duchi, Hazan and Singer 2011): each weight's step shrinks with the gradients it has seen."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import (
    StackedOptimizer,
    Tensors,
    expand_per_run,
    rates,
    run_by_run,
    steps_taken,
    zeros_like,
)


@settings
class Adagrad(StackedOptimizer):
    """`torch.optim.Adagrad(fused=True)`: one pass over the weights of each run."""

    lr_decay: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    initial_accumulator: Annotated[float, Field(ge=0)] = 0.0
    eps: Annotated[float, Field(gt=0)] = 1e-10
    per_run: ClassVar[tuple[str, ...]] = ("lr", "lr_decay", "weight_decay", "initial_accumulator", "eps")
    cuda_graph_safe: ClassVar[bool] = True

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        sums = zeros_like(params, "sum")
        for tensor in sums.values():
            tensor.add_(expand_per_run(rates(options["initial_accumulator"], params), tensor))
        return {"steps": steps_taken(params)} | sums

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        for run in run_by_run(options, params, grads, state, lr, ("sum",)):
            torch._fused_adagrad_(
                run.params,
                run.grads,
                run.state["sum"],
                run.steps,
                lr=run.lr,
                lr_decay=run.options["lr_decay"],
                weight_decay=run.options["weight_decay"],
                eps=run.options["eps"],
                maximize=False,
            )

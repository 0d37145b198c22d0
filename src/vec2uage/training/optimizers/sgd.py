"""Stochastic gradient descent, with momentum and weight decay (Robbins and Monro 1951; Polyak 1964)."""

from collections.abc import Hashable
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.gradients import Backward, DenseGrad
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors, each_run, rates, side_by_side, zeros_like


@settings
class SGD(StackedOptimizer):
    """Twin of `torch.optim.SGD` (no dampening, no Nesterov): `v = m v + g + wd p`, `p -= lr v`."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    per_run: ClassVar[tuple[str, ...]] = ("lr", "momentum", "weight_decay")
    cuda_graph_safe: ClassVar[bool] = True

    def variant(self) -> Hashable:
        return self._plain

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        return zeros_like(params, "momentum") if options["momentum"].any() else {}

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor) -> None:
        momentum, decay = (options[name].tolist() for name in ("momentum", "weight_decay"))
        velocities = each_run(params, state, "momentum/") if state else [[]] * len(lr)
        runs = zip(
            each_run(params), each_run(params, grads), velocities, momentum, decay, rates(lr, params), strict=True
        )
        for p, g, v, own_momentum, own_decay, own_lr in side_by_side(runs, next(iter(params.values())).device):
            torch._fused_sgd_(
                p,
                g,
                v if own_momentum else [],
                momentum=own_momentum,
                weight_decay=own_decay,
                lr=own_lr,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )

    @torch.no_grad()
    def apply_backward(
        self,
        options: Tensors,
        params: Tensors,
        backward: Backward,
        grad: Float[Tensor, "K B O"],
        state: Tensors,
        lr: Tensor,
    ) -> None:
        if not self._plain:
            super().apply_backward(options, params, backward, grad, state, lr)
            return
        dense = {}
        for name, step in backward(grad * -rates(lr, params)[:, None, None]):
            if isinstance(step, DenseGrad):
                dense[name] = step.value
            else:
                step.add_to(params[name])
        if dense:
            torch._foreach_add_([params[name] for name in dense], list(dense.values()))

    @property
    def _plain(self) -> bool:
        """Whether a step only adds the gradient, and can do so while that is being multiplied out."""
        return not (self.momentum or self.weight_decay)

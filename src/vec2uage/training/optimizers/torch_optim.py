"""Any `torch.optim.Optimizer` class over per-run views of the stacked parameters."""

import torch
from torch import Tensor

from vec2uage.config.component import Component
from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors


@settings
class TorchOptim(StackedOptimizer):
    """Adapter: one optimiser object per run, each over the views `params[name][k]`.

    Slower than a stacked formula (K Python steps instead of one) and equal to training alone by construction.
    Optimisers that need a closure (`torch.optim.LBFGS`) are refused when the configuration is read.
    """

    component: Component

    def init(self, options: Tensors, params: Tensors) -> list[torch.optim.Optimizer]:
        return [
            self.component.build(views, lr=float(lr)) for views, lr in zip(_views(params), options["lr"], strict=True)
        ]

    def step(
        self,
        options: Tensors,
        params: Tensors,
        grads: Tensors,
        state: list[torch.optim.Optimizer],
        lr: Tensor,
    ) -> None:
        for k, optimizer in enumerate(state):
            group = optimizer.param_groups[0]
            group["lr"] = float(lr[k])
            for view, name in zip(group["params"], params, strict=True):
                view.grad = grads[name][k]
            optimizer.step()

    def select(self, state: list[torch.optim.Optimizer], keep: Tensor, params: Tensors) -> list[torch.optim.Optimizer]:
        kept = [state[k] for k in keep.tolist()]
        for optimizer, views in zip(kept, _views(params), strict=True):
            group = optimizer.param_groups[0]
            for old, new in zip(group["params"], views, strict=True):
                if old in optimizer.state:
                    optimizer.state[new] = optimizer.state.pop(old)
            group["params"] = views
        return kept


def _views(params: Tensors) -> list[list[Tensor]]:
    runs = len(next(iter(params.values())))
    return [[p.detach()[k].requires_grad_() for p in params.values()] for k in range(runs)]

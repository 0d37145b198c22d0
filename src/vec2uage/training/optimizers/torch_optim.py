"""Any `torch.optim.Optimizer` class over per-run views of the stacked parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vec2uage.base.errors import UserError
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

    def unstack_state(self, state: list[torch.optim.Optimizer], runs: int) -> list[Tensors]:
        """Names: `tensor/PARAMETER/QUANTITY` and `number/PARAMETER/QUANTITY`; some count in their options, too."""
        return [self._saved(optimizer) for optimizer in state]

    def stack_state(self, options: Tensors, params: Tensors, saved: Sequence[Tensors]) -> list[torch.optim.Optimizer]:
        optimizers = self.init(options, params)
        for optimizer, own in zip(optimizers, saved, strict=True):
            described = optimizer.state_dict()
            for name, tensor in own.items():
                kind, where, quantity = name.split("/", 2)
                group, states = described["param_groups"][0], described["state"]
                known = group if where == "options" else states.setdefault(int(where), {})
                known[quantity] = tensor.item() if kind == "number" else tensor
            optimizer.load_state_dict(described)  # torch knows which quantities belong on the parameters' device,
            for number, parameter in enumerate(optimizer.param_groups[0]["params"]):  # but makes all floats of theirs
                for quantity, value in optimizer.state[parameter].items():
                    if isinstance(value, Tensor):
                        optimizer.state[parameter][quantity] = own[f"tensor/{number}/{quantity}"].to(value.device)
        return optimizers

    def _saved(self, optimizer: torch.optim.Optimizer) -> Tensors:
        group = optimizer.param_groups[0]
        saved = {
            f"number/options/{name}": _number(value)
            for name, value in group.items()
            if isinstance(value, bool | int | float)
        }
        for number, parameter in enumerate(group["params"]):
            for name, value in optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    saved[f"tensor/{number}/{name}"] = value.detach().cpu()
                elif isinstance(value, bool | int | float):
                    saved[f"number/{number}/{name}"] = _number(value)
                elif value is not None:
                    raise UserError(
                        f"{self.component.target} keeps a {type(value).__name__} as {name}, which cannot be saved: "
                        "set trainer.checkpoint_every=0"
                    )
        return saved


def _number(value: float | int) -> Tensor:
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def _views(params: Tensors) -> list[list[Tensor]]:
    runs = len(next(iter(params.values())))
    return [[p.detach()[k].requires_grad_() for p in params.values()] for k in range(runs)]

"""The paper's network, and how any `nn.Module` becomes a stack of K independent ones."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.overrides import TorchFunctionMode

from vec2uage.base import seeds
from vec2uage.config.component import Component
from vec2uage.training.optimizers.base import Tensors

Precision = Literal["float32", "bf16"]
Forward = Callable[[Tensors, Float[Tensor, "K B D"]], Float[Tensor, "K B"]]


class MLP(nn.Module):
    """Multilayer perceptron from a face vector to an age in years (paper section 3.5, Figure 6).

    `hidden=(512, 256, 128)` is the paper's network, 427,009 parameters at 512 inputs; `hidden=()` is linear
    regression. ReLU between the layers, a linear output.
    """

    def __init__(self, in_features: int, hidden: Sequence[Annotated[int, Field(ge=1)]]) -> None:
        super().__init__()
        sizes = [in_features, *hidden, 1]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))

    def forward(self, x: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        return self.stacked_forward({name: p[None] for name, p in self.named_parameters()}, x[None])[0]

    def stacked_forward(self, params: Tensors, x: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
        """Run K networks at once; the same as K times `forward`, bit for bit on CPU."""
        last = len(self.layers) - 1
        for layer in range(last):
            weight, bias = params[f"layers.{layer}.weight"], params[f"layers.{layer}.bias"]
            x = _StackedLinear.apply(x, weight, bias).relu()
        return _single_output(x, params[f"layers.{last}.weight"], params[f"layers.{last}.bias"])


class _StackedLinear(torch.autograd.Function):
    """`nn.Linear` for K runs: `[K B I], [K O I], [K O] -> [K B O]`.

    By itself autograd would give the weight's gradient transposed in memory, and every optimiser would then walk
    through it against the grain: twice the time of a step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x, weight, bias = (t.to(torch.get_autocast_dtype(x.device.type)) for t in (x, weight, bias))
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        grad_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        return grad_x, torch.bmm(grad.mT, x), grad.sum(1)


def _single_output(
    x: Float[Tensor, "*K B D"], weight: Float[Tensor, "*K 1 D"], bias: Float[Tensor, "*K 1"]
) -> Float[Tensor, "*K B"]:
    """A layer of width 1 as product and sum: as a matrix product its bits would depend on the stack size."""
    return (x * weight).sum(-1) + bias


class _SingleOutputs(TorchFunctionMode):
    """Send every `linear` of width 1 inside a foreign module through `_single_output`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.linear and not kwargs and args[1].shape[0] == 1:
            x, weight, bias = (*args, None)[:3]
            y = (x * weight[0]).sum(-1, keepdim=True)
            return y if bias is None else y + bias
        return func(*args, **kwargs or {})


def build(model: Component, in_features: int, seed: int) -> nn.Module:
    """Build one network with the weights that `seed` draws; `in_features` is passed if the class takes it."""
    extra = {"in_features": in_features} if model.accepts("in_features") else {}
    with seeds.global_torch_rng(seed, "model"):
        return model.build(**extra)


def stack(modules: Sequence[nn.Module], precision: Precision) -> tuple[Forward, Tensors, Tensors]:
    """Return the stacked forward pass, the parameters and the buffers `[K, ...]` of K networks alike in shape.

    The forward pass takes parameters and buffers in one dict. A class with its own `stacked_forward` is trusted
    with that; any other module goes through `torch.func`. With `bf16`, matrix products are computed in bfloat16;
    ages are float32 in any case.
    """
    params, buffers = stack_module_state(list(modules))
    forward = getattr(modules[0], "stacked_forward", None) or _stacked(modules[0])
    if precision == "float32":
        return forward, params, buffers

    def in_bf16(state: Tensors, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return forward(state, x).float()

    return in_bf16, params, buffers


def _stacked(module: nn.Module) -> Forward:
    def one(state: Tensors, x: Tensor) -> Tensor:
        return functional_call(module, state, (x,)).reshape(len(x))

    def forward(state: Tensors, x: Tensor) -> Tensor:
        with _SingleOutputs():
            if len(x) == 1:  # outside vmap, so that modules that draw random numbers can run alone
                return one({name: tensor[0] for name, tensor in state.items()}, x[0])[None]
            return vmap(one)(state, x)

    return forward

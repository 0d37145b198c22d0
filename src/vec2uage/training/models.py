"""The paper's network, and how any `nn.Module` becomes a stack of K independent ones."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.overrides import TorchFunctionMode

from vec2uage.base import seeds
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.config.settings import PositiveInt
from vec2uage.training.gradients import Backward, DenseGrad, Gradient, LazyMatmulGrad
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors
from vec2uage.training.precision import Precision, products

# Parameters and buffers come in one dict, faces `[K, B, ...]` and, one a hidden layer, masks `[K, _, B]` after it.
Forward = Callable[..., Float[Tensor, "K B O"]]


class MLP(nn.Module):
    """Multilayer perceptron from a face vector to what a head makes ages of (paper section 3.5, Figure 6).

    `hidden=(512, 256, 128)` with one output is the paper's network, 427,009 parameters at 512 inputs; `hidden=()` is
    linear regression. ReLU between the layers, linear outputs. With `tied_outputs` these share one row of weights and
    have a bias each (CORAL, Cao et al. 2020), at first falling evenly from 1/2 to -1/2: were they equal, all outputs
    would say the same until training had drawn them apart.
    """

    cuda_graph_safe = True  # a CUDA graph can hold a pass (see `cuda_graph.graphed_step`)

    def __init__(
        self, in_features: int, hidden: Sequence[PositiveInt], out_features: int = 1, tied_outputs: bool = False
    ) -> None:
        super().__init__()
        self.hidden_widths = tuple(hidden)
        sizes = [in_features, *hidden, 1 if tied_outputs else out_features]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        if tied_outputs:
            self.layers[-1].bias = nn.Parameter(torch.linspace(0.5, -0.5, out_features))

    @staticmethod
    def shapes(
        in_features: int, hidden: Sequence[int], out_features: int, tied_outputs: bool = False
    ) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all parameters by name; nothing is built, whatever the sizes."""
        found: dict[str, tuple[int, ...]] = {}
        for number, (i, o) in enumerate(pairwise([in_features, *hidden, 1 if tied_outputs else out_features])):
            found |= {f"layers.{number}.weight": (o, i), f"layers.{number}.bias": (o,)}
        return found | {f"layers.{len(hidden)}.bias": (out_features,)}

    def forward(self, x: Float[Tensor, "B D"], *masks: Float[Tensor, "_ B"]) -> Float[Tensor, "B O"]:
        params = {name: p[None] for name, p in self.named_parameters()}
        return self.stacked_forward(params, x[None], *(mask[None] for mask in masks))[0]

    def stacked_forward(
        self, params: Tensors, x: Float[Tensor, "K B D"], *masks: Float[Tensor, "K _ B"]
    ) -> Float[Tensor, "K B O"]:
        """Run K networks at once; the same as K times `forward`, bit for bit on CPU."""
        return self._run(params, x, masks)[0]

    @torch.no_grad()
    def stacked_backward(
        self, params: Tensors, x: Float[Tensor, "K B D"], *masks: Float[Tensor, "K _ B"]
    ) -> tuple[Float[Tensor, "K B O"], Backward]:
        """Run K networks at once; return the outputs, and the backward pass from them to the gradients.

        The outputs of hidden layers are multiplied by `masks`, if there are any: one a layer, a column per row of `x`.
        By hand, not by autograd, which would multiply out what an optimiser may only need to add (`LazyMatmulGrad`).
        Matrix products are computed of numbers in the dtype of `x`; what is added to weights is float32.
        """
        raw, inputs, weights = self._run(params, x, masks)
        return raw, partial(self._gradients, params, inputs, weights, masks)

    def _gradients(
        self,
        params: Tensors,
        inputs: list[Float[Tensor, "K _ B"]],
        weights: list[Float[Tensor, "K _ _"]],
        masks: Sequence[Float[Tensor, "K _ B"]],
        grad: Float[Tensor, "K B O"],
    ) -> Iterator[tuple[str, Gradient]]:
        """Yield the gradients of all parameters, from the last layer to the first."""
        last = len(self.layers) - 1
        outputs, weight = grad.mT.contiguous(), params[f"layers.{last}.weight"]
        if weight.shape[1] == 1:
            of_product = outputs if outputs.shape[1] == 1 else outputs.sum(1, keepdim=True)
            below = weight.mT * of_product  # the gradient of the layer's inputs
            yield f"layers.{last}.weight", DenseGrad((inputs[last] * of_product).sum(2)[:, None])
        else:
            below = torch.bmm(weight.mT, outputs) if last else outputs  # nobody needs that of the vectors
            of_weight = _never_alone(torch.bmm, outputs, inputs[last].mT.to(outputs.dtype))
            yield f"layers.{last}.weight", DenseGrad(of_weight)
        yield f"layers.{last}.bias", DenseGrad(outputs.sum(2))
        for layer in reversed(range(last)):
            outputs = below.to(inputs[0].dtype)
            torch.ops.aten.threshold_backward.grad_input(outputs, inputs[layer + 1], 0, grad_input=outputs)  # of relu
            if masks:
                outputs.mul_(masks[layer])
            if layer:
                below = torch.bmm(weights[layer].mT, outputs)
            yield f"layers.{layer}.weight", LazyMatmulGrad(outputs, inputs[layer])
            yield f"layers.{layer}.bias", DenseGrad(outputs.sum(2, dtype=grad.dtype))

    def _run(
        self, params: Tensors, x: Float[Tensor, "K B D"], masks: Sequence[Float[Tensor, "K _ B"]] = ()
    ) -> tuple[Float[Tensor, "K B O"], list[Float[Tensor, "K _ B"]], list[Float[Tensor, "K _ _"]]]:
        """Return the outputs, the inputs of every layer, a column per row of the batch, and the weights as used.

        As columns they make the weights the left factor of every product, which is a tenth faster than `x @ weight.mT`.
        """
        inputs, weights = [x.mT], []
        last = len(self.layers) - 1
        for layer in range(last):
            weight = params[f"layers.{layer}.weight"].to(x.dtype)
            bias = params[f"layers.{layer}.bias"].to(x.dtype)
            hidden = torch.baddbmm(bias[..., None], weight, inputs[-1]).relu_()
            inputs.append(hidden * masks[layer] if masks else hidden)
            weights.append(weight)
        weight, bias = params[f"layers.{last}.weight"], params[f"layers.{last}.bias"]
        if weight.shape[1] == 1:
            # A layer of width 1 as product and sum: as a matrix product its bits would depend on the stack size.
            return (inputs[-1] * weight.mT).sum(1)[..., None] + bias[:, None], inputs, weights
        raw = _never_alone(torch.baddbmm, bias[..., None], weight, inputs[-1].to(weight.dtype))
        return raw.mT, inputs, weights


def _never_alone(product: Callable[..., Tensor], *factors: Float[Tensor, "K _ _"]) -> Float[Tensor, "K _ _"]:
    """Compute the products of a narrow layer, that of one run twice.

    One alone the matrix library may share out over threads (of widths 5 to 7 and 9 to 11, on the processors we know),
    and then its bits are not those that it has in a stack.
    """
    if len(factors[0]) > 1:
        return product(*factors)
    return product(*(factor.expand(2, -1, -1) for factor in factors))[:1]


class _SingleOutputs(TorchFunctionMode):
    """Compute every `linear` of width 1 inside a foreign module as product and sum, as `MLP` does."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.linear and not kwargs and args[1].shape[0] == 1:
            x, weight, bias = (*args, None)[:3]
            y = (x * weight[0]).sum(-1, keepdim=True)
            return y if bias is None else y + bias
        return func(*args, **kwargs or {})


def build(model: Component, in_features: int, out_features: int, seed: int, tied_outputs: bool = False) -> nn.Module:
    """Build one network with the weights that `seed` draws; see `Head` for its outputs."""
    extra = accepted_sizes(model, in_features, out_features, tied_outputs)
    with seeds.global_torch_rng(seed, "model"):
        return model.build(**extra)


def accepted_sizes(model: Component, in_features: int, out_features: int, tied_outputs: bool = False) -> dict[str, Any]:
    """Return by name what a class takes of both sizes, and `tied_outputs` where these are asked for.

    UserError where it gives one number and the head needs more, or cannot tie outputs.
    """
    known = {"in_features": in_features, "out_features": out_features}
    if out_features != 1 and not model.accepts("out_features"):
        raise UserError(
            f"model._target_ = {model.target}: takes no out_features, so it gives one number for a face, but the head "
            f"needs {out_features}: take head=scalar"
        )
    if tied_outputs and not model.accepts("tied_outputs"):
        raise UserError(
            f"model._target_ = {model.target}: takes no tied_outputs, but all outputs of this head share their "
            "weights: take head=ordinal head.method=corn, or another head"
        )
    tied = {"tied_outputs": True} if tied_outputs else {}
    return {name: size for name, size in known.items() if model.accepts(name)} | tied


def optimizer_of(module: nn.Module, optimizer: StackedOptimizer) -> StackedOptimizer:
    """Return the optimiser of networks like this one: of a class that has its parameters `grouped`, in groups."""
    own: Callable[[StackedOptimizer], StackedOptimizer] | None = getattr(module, "grouped", None)
    return optimizer if own is None else own(optimizer)


class Stacked:
    """K networks as one: the forward pass and the gradients, with products in the given precision.

    A class with its own `stacked_forward` and `stacked_backward` is trusted with them, on CUDA in bf16 with `x` in
    bfloat16; any other module goes through `torch.func` and autograd. One that has `hidden_widths` takes masks.
    """

    def __init__(self, module: nn.Module, out_features: int, precision: Precision, device: torch.device) -> None:
        self.precision = precision
        self.hidden_widths: Sequence[int] = getattr(module, "hidden_widths", ())
        self._forward: Forward = getattr(module, "stacked_forward", None) or _stacked(module, out_features)
        self._backward = getattr(module, "stacked_backward", None)
        # CUDA has no such products of float32 tensors, and a CPU no such convolutions.
        if precision == "bf16" and (device.type == "cuda" or _has_convolutions(module)):
            if self._backward is None:
                self._forward = _autocast(self._forward)
            else:
                self._forward, self._backward = _narrowed(self._forward), _narrowed(self._backward)

    def __call__(self, state: Tensors, x: Float[Tensor, "K B ..."]) -> Float[Tensor, "K B O"]:
        """Return the outputs; `state` holds parameters and buffers."""
        with products(self.precision):
            return self._forward(state, x)

    def backward(
        self, params: Tensors, buffers: Tensors, x: Float[Tensor, "K B ..."], *masks: Float[Tensor, "K _ B"]
    ) -> tuple[Float[Tensor, "K B O"], Backward]:
        """Return the outputs, and the backward pass from them to `params`: within `products` of the same precision.

        `masks` are those of `MLP.stacked_backward`.
        """
        if self._backward is not None:
            raw, backward = self._backward(params | buffers, x, *masks)
            return raw, backward
        with torch.enable_grad():
            raw = self._forward(params | buffers, x, *masks)

        def by_autograd(grad: Float[Tensor, "K B O"]) -> Iterator[tuple[str, Gradient]]:
            grads = torch.autograd.grad(raw, list(params.values()), grad)
            return iter([(name, DenseGrad(g)) for name, g in zip(params, grads, strict=True)])

        return raw.detach(), by_autograd


def stack(modules: Sequence[nn.Module], out_features: int, precision: Precision) -> tuple[Stacked, Tensors, Tensors]:
    """Return K networks alike in shape as one, their parameters and their buffers `[K, ...]`."""
    params, buffers = stack_module_state(list(modules))
    return Stacked(modules[0], out_features, precision, next(iter(params.values())).device), params, buffers


def _has_convolutions(module: nn.Module) -> bool:
    return any(isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) for layer in module.modules())


def _autocast(forward: Forward) -> Forward:
    def in_bf16(state: Tensors, x: Tensor, *masks: Tensor) -> Tensor:
        # No cache of the weights' casts: a recorded step (cuda_graph) would go on using those of its first step.
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            return forward(state, x, *masks).float()

    return in_bf16


def _narrowed(compute: Callable[..., Any]) -> Callable[..., Any]:
    return lambda params, x, *masks: compute(params, x.bfloat16(), *masks)


def _stacked(module: nn.Module, out_features: int) -> Forward:
    def one(state: Tensors, x: Tensor, *masks: Tensor) -> Tensor:
        raw = functional_call(module, state, (x, *masks))
        if raw.numel() != len(x) * out_features:
            raise UserError(
                f"{type(module).__module__}.{type(module).__qualname__} gives numbers of shape {tuple(raw.shape)} for "
                f"{len(x)} faces, but the head needs {out_features} for each"
            )
        return raw.reshape(len(x), out_features)

    def forward(state: Tensors, x: Tensor, *masks: Tensor) -> Tensor:
        with _SingleOutputs():
            if len(x) == 1:  # outside vmap, so that modules that draw random numbers can run alone
                own = {name: tensor[0] for name, tensor in state.items()}
                return one(own, x[0], *(mask[0] for mask in masks))[None]
            return vmap(one)(state, x, *masks)

    return forward

"""Gradients of stacked parameters, multiplied out or not yet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class DenseGrad:
    """Gradients that are numbers already."""

    value: Float[Tensor, "K ..."]

    def dense(self) -> Float[Tensor, "K ..."]:
        """Return them as numbers, in C order: torch's fused optimisers take that for granted."""
        return self.value.contiguous()

    def add_to(self, target: Float[Tensor, "K ..."]) -> None:
        """Add them to `target`, in place."""
        target.add_(self.value)


@dataclass(frozen=True)
class LazyMatmulGrad:
    """A layer's weight gradients `[K, O, I]`: the layer's output gradients times its inputs, summed over the batch.

    Added to the weights as they are multiplied out, they never pass through memory: one step of SGD for the price of
    its matrix product. Factors may be bfloat16 (on CUDA); what comes out is float32.
    """

    outputs: Float[Tensor, "K O B"]
    inputs: Float[Tensor, "K I B"]

    def dense(self) -> Float[Tensor, "K O I"]:
        if self._narrow:
            return torch.bmm(self.outputs, self.inputs.mT, out_dtype=torch.float32)
        return torch.bmm(self.outputs, self.inputs.mT)

    def add_to(self, target: Float[Tensor, "K O I"]) -> None:
        if self._narrow:
            torch.baddbmm(target, self.outputs, self.inputs.mT, out_dtype=torch.float32, out=target)
        else:
            target.baddbmm_(self.outputs, self.inputs.mT)

    @property
    def _narrow(self) -> bool:
        return self.outputs.dtype == torch.bfloat16


Gradient = DenseGrad | LazyMatmulGrad
# What a forward pass leaves behind: called with the derivative by the outputs, it yields the gradients of all
# parameters, one at a time. A parameter may be changed as soon as its gradient is there. The gradients are linear in
# what it is called with. To be called under `torch.no_grad`.
Backward = Callable[[Float[Tensor, "K B O"]], Iterator[tuple[str, Gradient]]]

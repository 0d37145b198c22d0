"""Losses, element by element; the trainer averages them over the samples of each run."""

from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings

PerSample = Float[Tensor, "K B"]  # a number for every sample of the batches of K runs


@settings
class Loss:
    """Base of all losses: calling one gives the loss of every sample, in the unit of the loss."""

    cuda_graph_safe: ClassVar[bool] = False
    """Whether a CUDA graph can hold a call (see `cuda_graph.graphed_step`)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let a class that defines another loss inherit no formula of the derivative: autograd takes it."""
        super().__init_subclass__(**kwargs)
        if "__call__" in vars(cls) and "with_gradient" not in vars(cls):
            cls.with_gradient = Loss.with_gradient  # type: ignore[method-assign]

    def __call__(self, predicted: PerSample, age: PerSample) -> PerSample:
        raise TypeError(f"{type(self).__name__} must define __call__()")

    def with_gradient(self, predicted: PerSample, age: PerSample) -> tuple[PerSample, PerSample]:
        """Return every sample's loss and its derivative by the prediction.

        By autograd; the losses here know a formula, since autograd takes a tenth of a millisecond in every step.
        """
        with torch.enable_grad():
            predicted = predicted.detach().requires_grad_()
            losses = self(predicted, age)
            # The runs share nothing, so this is the derivative of each run's own sum.
            (gradient,) = torch.autograd.grad(losses.sum(), predicted)
        return losses.detach(), gradient


@settings
class MSE(Loss):
    """Squared error in years squared (the paper's loss, section 3.5)."""

    cuda_graph_safe: ClassVar[bool] = True

    def __call__(self, predicted: PerSample, age: PerSample) -> PerSample:
        return (predicted - age) ** 2

    def with_gradient(self, predicted: PerSample, age: PerSample) -> tuple[PerSample, PerSample]:
        error = predicted - age
        return error**2, 2 * error


@settings
class L1(Loss):
    """Absolute error in years."""

    cuda_graph_safe: ClassVar[bool] = True

    def __call__(self, predicted: PerSample, age: PerSample) -> PerSample:
        return (predicted - age).abs()

    def with_gradient(self, predicted: PerSample, age: PerSample) -> tuple[PerSample, PerSample]:
        error = predicted - age
        return error.abs(), error.sign()


@settings
class Huber(Loss):
    """Squared error up to `delta` years, linear beyond (Huber 1964; scaled as `torch.nn.HuberLoss`)."""

    cuda_graph_safe: ClassVar[bool] = True
    delta: Annotated[float, Field(gt=0)]

    def __call__(self, predicted: PerSample, age: PerSample) -> PerSample:
        return torch.nn.functional.huber_loss(predicted, age, reduction="none", delta=self.delta)

    def with_gradient(self, predicted: PerSample, age: PerSample) -> tuple[PerSample, PerSample]:
        return self(predicted, age), (predicted - age).clamp(-self.delta, self.delta)

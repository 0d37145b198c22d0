"""Losses, element by element; the trainer averages them over the samples of each run."""

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings


@settings
class Loss:
    """Base of all losses: calling one gives the loss of every sample, in the unit of the loss."""

    recordable: ClassVar[bool] = False  # whether a CUDA graph can hold a call (see `cuda_graph.take_step`)

    def __call__(self, predicted: Float[Tensor, "K B"], age: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
        raise TypeError(f"{type(self).__name__} must define __call__()")


@settings
class MSE(Loss):
    """Squared error in years squared (the paper's loss, section 3.5)."""

    recordable: ClassVar[bool] = True

    def __call__(self, predicted: Float[Tensor, "K B"], age: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
        return (predicted - age) ** 2


@settings
class L1(Loss):
    """Absolute error in years."""

    recordable: ClassVar[bool] = True

    def __call__(self, predicted: Float[Tensor, "K B"], age: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
        return (predicted - age).abs()


@settings
class Huber(Loss):
    """Squared error up to `delta` years, linear beyond (Huber 1964; scaled as `torch.nn.HuberLoss`)."""

    recordable: ClassVar[bool] = True
    delta: Annotated[float, Field(gt=0)]

    def __call__(self, predicted: Float[Tensor, "K B"], age: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
        return torch.nn.functional.huber_loss(predicted, age, reduction="none", delta=self.delta)

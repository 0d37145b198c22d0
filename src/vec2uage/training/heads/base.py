"""What a head is: how many numbers a network gives for a face, what they cost, and the prediction they stand for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.data.parts import AgeRange
from vec2uage.predictions.base import Prediction
from vec2uage.training.losses import PerSample

Raw = Float[Tensor, "K B O"]  # what the networks of K runs give for their batches


@settings
class Head:
    """Base of all heads: a subclass defines `outputs`, `loss_of`, `point` and `prediction`."""

    @property
    def cuda_graph_safe(self) -> bool:
        """Whether a CUDA graph can hold `loss_with_gradient` (see `cuda_graph`)."""
        return False

    @property
    def outputs(self) -> int:
        """How many numbers O the network gives for a face."""
        raise TypeError(f"{type(self).__name__} must define outputs")

    @property
    def tied_outputs(self) -> bool:
        """Whether all outputs are one product of the last layer's inputs, each with a bias of its own."""
        return False

    @property
    def needs_ages(self) -> bool:
        """Whether the head must still be told the ages that it is for (`for_ages`)."""
        return False

    def for_ages(self, age_range: AgeRange) -> "Head":
        """Return the head for labels from the first to the last of these ages, both included."""
        return self

    def check_labels(self, ages: Mapping[str, Float[Tensor, " _"]]) -> None:
        """Raise UserError where the head cannot stand for one of the ages in a part, by the part's name."""

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        """Return the loss of every sample, given its age in years."""
        raise TypeError(f"{type(self).__name__} must define loss_of()")

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        """Return the loss of every sample and its derivative by each output.

        By autograd; a formula saves a tenth of a millisecond in every step.
        """
        with torch.enable_grad():
            raw = raw.detach().requires_grad_()
            losses = self.loss_of(raw, age)
            # The runs share nothing, so this is the derivative of each run's own sum.
            (gradient,) = torch.autograd.grad(losses.sum(), raw)
        return losses.detach(), gradient

    def point(self, raw: Raw) -> PerSample:
        """Return one age in years for every sample: what the running training error is measured with."""
        raise TypeError(f"{type(self).__name__} must define point()")

    def prediction(self, raw: Float[np.ndarray, "N O"]) -> Prediction:
        """Return the distributions of age that the outputs for N faces stand for."""
        raise TypeError(f"{type(self).__name__} must define prediction()")

    def to_predict(self) -> dict[str, Any]:
        """Return the options that `prediction` depends on, as JSON holds them: what a model file keeps of the head."""
        return {}

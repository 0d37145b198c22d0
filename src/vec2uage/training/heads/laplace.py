"""Median and scale of a Laplace distribution of age, by its likelihood: absolute errors, each with its own scale."""

import math

import numpy as np
import torch
from jaxtyping import Float

from vec2uage.config.settings import settings
from vec2uage.predictions.laplace import Laplace as LaplacePrediction
from vec2uage.training.heads.base import Head, Raw
from vec2uage.training.heads.scale import UNIT, predicted_scale, scale_and_slope
from vec2uage.training.losses import PerSample

_LOG_2 = math.log(2)


@settings
class Laplace(Head):
    """Two outputs, the median in years and what `scale_and_slope` makes the scale b of (the mean absolute error).

    The loss is the negative log-likelihood in nats, `log(2 b) + |age - median| / b`: it stands to the absolute error as
    the Gaussian one to the squared error, and a face of a wrong label pulls no harder than any other.
    """

    @property
    def cuda_graph_safe(self) -> bool:
        return True

    @property
    def outputs(self) -> int:
        return 2

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        scale, _ = scale_and_slope(raw[..., 1])
        return torch.log(scale) + (self.point(raw) - age).abs() / scale + _LOG_2

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        scale, slope = scale_and_slope(raw[..., 1])
        error = self.point(raw) - age
        relative = error.abs() / scale
        gradient = torch.stack([error.sign() / scale * UNIT, (1 - relative) * slope / scale], dim=-1)
        return torch.log(scale) + relative + _LOG_2, gradient

    def point(self, raw: Raw) -> PerSample:
        return raw[..., 0] * UNIT

    def prediction(self, raw: Float[np.ndarray, "N 2"]) -> LaplacePrediction:
        return LaplacePrediction(raw[:, 0].astype(np.float64) * UNIT, predicted_scale(raw[:, 1]))

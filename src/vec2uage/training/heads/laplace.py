"""Median and scale of a Laplace distribution of age, by its likelihood: absolute errors, each with its own scale."""

import math

import numpy as np
import torch
from jaxtyping import Float

from vec2uage.config.settings import settings
from vec2uage.predictions.laplace import Laplace as LaplacePrediction
from vec2uage.training.heads.base import Raw
from vec2uage.training.heads.location_scale import LocationScale
from vec2uage.training.heads.scale import UNIT, predicted_scale, scale_and_slope
from vec2uage.training.losses import PerSample

_LOG_2 = math.log(2)


@settings
class Laplace(LocationScale):
    """Two outputs, the median in years and what `scale_and_slope` makes the scale b of (the mean absolute error).

    The loss is the negative log-likelihood in nats, `log(2 b) + |age - median| / b`: it stands to the absolute error as
    the Gaussian one to the squared error, and a face of a wrong label pulls no harder than any other. `beta` multiplies
    the gradient of each face by `b^(2 beta)`, taken as a constant, as `Gaussian` does: 0 is the likelihood itself, 0.5
    gives the median the gradient of the absolute error. The loss that is reported and monitored is the likelihood.
    """

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        scale, _ = scale_and_slope(raw[..., 1])
        return torch.log(scale) + ((self.point(raw) - age) / scale).abs() + _LOG_2

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        """Return the negative log-likelihoods, and their derivatives multiplied by `b^(2 beta)`."""
        scale, slope = scale_and_slope(raw[..., 1])
        log_scale, error = torch.log(scale), (self.point(raw) - age) / scale
        weight = torch.exp((2 * self.beta - 1) * log_scale)  # with the division by b that both derivatives hold
        gradient = torch.stack([error.sign() * weight * UNIT, (1 - error.abs()) * slope * weight], dim=-1)
        return log_scale + error.abs() + _LOG_2, gradient

    def prediction(self, raw: Float[np.ndarray, "N 2"]) -> LaplacePrediction:
        return LaplacePrediction(raw[:, 0].astype(np.float64) * UNIT, predicted_scale(raw[:, 1]))

"""Mean and standard deviation of a normal distribution of age, by its likelihood (Nix and Weigend 1994)."""

import math

import numpy as np
import torch
from jaxtyping import Float

from vec2uage.config.settings import settings
from vec2uage.predictions.normal import Normal
from vec2uage.training.heads.base import Raw
from vec2uage.training.heads.location_scale import LocationScale
from vec2uage.training.heads.scale import UNIT, predicted_scale, scale_and_slope
from vec2uage.training.losses import PerSample

_LOG_SQRT_2_PI = math.log(2 * math.pi) / 2


@settings
class Gaussian(LocationScale):
    """Two outputs, the mean in years and what `scale_and_slope` makes the standard deviation of.

    The loss is the negative log-likelihood in nats, `log(s) + (age - mean)^2 / (2 s^2) + log(2 pi) / 2`. Its gradient
    by the mean is divided by the variance, so that faces which seem hard are learnt ever less. `beta` multiplies the
    gradient of each face by `s^(2 beta)`, taken as a constant (beta-NLL: Seitzer et al. 2022): 0 is the likelihood
    itself, 1 gives the mean the gradient of half the squared error. The loss that is reported and monitored is the
    likelihood, whatever `beta` is: weighted, it can fall while the distributions get worse.
    """

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        scale, _ = scale_and_slope(raw[..., 1])
        return torch.log(scale) + ((self.point(raw) - age) / scale) ** 2 / 2 + _LOG_SQRT_2_PI

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        """Return the negative log-likelihoods, and their derivatives multiplied by `s^(2 beta)`."""
        scale, slope = scale_and_slope(raw[..., 1])
        log_scale, error = torch.log(scale), (self.point(raw) - age) / scale
        weight = torch.exp((2 * self.beta - 1) * log_scale)  # with the division by s that both derivatives hold
        gradient = torch.stack([error * weight * UNIT, (1 - error**2) * slope * weight], dim=-1)
        return log_scale + error**2 / 2 + _LOG_SQRT_2_PI, gradient

    def prediction(self, raw: Float[np.ndarray, "N 2"]) -> Normal:
        return Normal(raw[:, 0].astype(np.float64) * UNIT, predicted_scale(raw[:, 1]))

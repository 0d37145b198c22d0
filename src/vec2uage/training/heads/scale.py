"""How an output of a network becomes a scale, in years: above a floor, and sensible where training begins.

Softplus above a floor, `LEAST_SCALE + log(1 + exp(raw + offset))`, not the exponential of a log-variance: it grows as
its output does, so that a face far from all others gets no astronomic scale, and its slope never exceeds 1. The floor
bounds the density, so that a few faces that are fitted exactly cannot outweigh all others.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

INITIAL_SCALE = 5.0
"""Years, where the output is 0, as untrained ones nearly are: the deviation of ages spread evenly over 1 to 18."""
LEAST_SCALE = 0.1
"""Years: five weeks, less than what an age in whole years leaves open."""

_OFFSET = math.log(math.expm1(INITIAL_SCALE - LEAST_SCALE))


def scale_and_slope(raw: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return the scales in years, and their derivatives by the outputs.

    Of `exp` and `log1p` alone, which give a number the same bits wherever it stands in a tensor; torch's own `softplus`
    and `sigmoid` do not, nor does a power.
    """
    shifted = raw + _OFFSET
    decay = torch.exp(-shifted.abs())
    scale = shifted.clamp(min=0) + torch.log1p(decay) + LEAST_SCALE
    return scale, torch.where(shifted < 0, decay, 1) / (1 + decay)


def predicted_scale(raw: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the scales in years, in double precision."""
    return np.logaddexp(0.0, raw.astype(np.float64) + _OFFSET) + LEAST_SCALE

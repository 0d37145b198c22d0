"""How an output of a network becomes an age or a scale in years, so that all heads learn at like rates.

An output counts in `UNIT` years. Of an age it is the multiple; of a scale, softplus above a floor:
`LEAST_SCALE + UNIT * log(1 + exp(raw + offset))`, which is `UNIT` at 0. Softplus, not the exponential of a
log-variance: it grows as its output does, so that a face far from all others gets no astronomic scale. The floor bounds
the density, so that a few faces that are fitted exactly cannot outweigh all others.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

UNIT = 5.0
"""Years: the deviation of ages spread evenly over 1 to 18. Were outputs years, a likelihood would fall so slowly with
them that the range test suggests rates at which a network comes to give one age for all faces."""
LEAST_SCALE = 0.1
"""Years: five weeks, less than what an age in whole years leaves open."""

_OFFSET = math.log(math.expm1((UNIT - LEAST_SCALE) / UNIT))


def scale_and_slope(raw: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return the scales in years, and their derivatives by the outputs.

    Of `exp` and `log1p` alone, which give a number the same bits wherever it stands in a tensor; torch's own `softplus`
    and `sigmoid` do not, nor does a power.
    """
    shifted = raw + _OFFSET
    decay = torch.exp(-shifted.abs())
    scale = (shifted.clamp(min=0) + torch.log1p(decay)) * UNIT + LEAST_SCALE
    return scale, torch.where(shifted < 0, decay, 1) * UNIT / (1 + decay)


def predicted_scale(raw: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the scales in years, in double precision."""
    shifted = raw.astype(np.float64) + _OFFSET
    return (np.maximum(shifted, 0) + np.log1p(np.exp(-np.abs(shifted)))) * UNIT + LEAST_SCALE

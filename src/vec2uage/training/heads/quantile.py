"""Quantiles of age at given levels, by the pinball loss (Koenker and Bassett 1978); they cannot cross."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import field_validator
from scipy.special import ndtri
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.predictions.piecewise import Quantiles
from vec2uage.training.heads.base import Head, Raw
from vec2uage.training.heads.scale import UNIT, predicted_scale, scale_and_slope
from vec2uage.training.losses import PerSample


@settings
class Quantile(Head):
    """One output a level: the median in years, and for every other level its step from the next one inwards.

    A step is that between the two levels of a normal distribution, whose standard deviation is what `scale_and_slope`
    makes of the output. So no quantiles cross, training begins with those of a normal distribution, and the median,
    both sides and the tails are free of one another.

    The loss is twice the mean of the pinball losses at all levels, in years: of the median alone it would be the
    absolute error, and of many evenly spaced levels it is near the CRPS (Gneiting and Ranjan 2011).
    """

    levels: tuple[float, ...] = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)

    @field_validator("levels")
    @classmethod
    def _ascend_around_the_median(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        ascending = all(low < high for low, high in pairwise((0.0, *levels, 1.0)))
        if not ascending or 0.5 not in levels or len(levels) < 2:
            raise ValueError("should be two or more ascending levels between 0 and 1, one of them 0.5, the median")
        return levels

    @property
    def cuda_graph_safe(self) -> bool:
        return True

    @property
    def outputs(self) -> int:
        return len(self.levels)

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        return self._pinball(self._quantiles(raw)[0] - age[..., None])[0]

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        quantiles, slopes = self._quantiles(raw)
        losses, gradient = self._pinball(quantiles - age[..., None])
        below, above = gradient[..., : self._median], gradient[..., self._median + 1 :]
        # A step moves its own quantile and all beyond it, the median moves all.
        summed = [below.cumsum(-1), gradient.sum(-1, keepdim=True), above.flip(-1).cumsum(-1).flip(-1)]
        return losses, torch.cat(summed, dim=-1) * slopes

    def point(self, raw: Raw) -> PerSample:
        return raw[..., self._median] * UNIT

    def prediction(self, raw: Float[np.ndarray, "N O"]) -> Quantiles:
        median = raw[:, self._median, None].astype(np.float64) * UNIT
        steps = predicted_scale(raw) * _steps(self.levels)
        below = steps[:, : self._median][:, ::-1].cumsum(axis=1)[:, ::-1]
        above = steps[:, self._median + 1 :].cumsum(axis=1)
        return Quantiles(np.array(self.levels), np.concatenate([median + below, median, median + above], axis=1))

    def to_predict(self) -> dict[str, Any]:
        return {"levels": list(self.levels)}

    @property
    def _median(self) -> int:
        return self.levels.index(0.5)

    def _quantiles(self, raw: Raw) -> tuple[Raw, Raw]:
        """Return the quantiles, and the derivative by each output of what it adds to them."""
        _, steps = _on_device(self.levels, raw.device)
        scale, slope = scale_and_slope(raw)
        own, median = scale * steps, self.point(raw)[..., None]
        below = own[..., : self._median].flip(-1).cumsum(-1).flip(-1)
        above = own[..., self._median + 1 :].cumsum(-1)
        slopes = torch.where(steps == 0, UNIT, slope * steps)
        return torch.cat([median + below, median, median + above], dim=-1), slopes

    def _pinball(self, error: Raw) -> tuple[PerSample, Raw]:
        """Return the losses of quantiles that are `error` years too high, and the derivatives by the quantiles."""
        levels, _ = _on_device(self.levels, error.device)
        by_quantile = ((error > 0).to(error.dtype) - levels) * (2 / len(self.levels))
        return (error * by_quantile).sum(-1), by_quantile


def _steps(levels: tuple[float, ...]) -> Float[np.ndarray, " Q"]:
    """Return every level's step from the next one inwards, in deviations of a normal distribution; 0 of the median."""
    deviations = ndtri(levels)
    median = levels.index(0.5)
    return np.concatenate([-np.diff(deviations[: median + 1]), [0.0], np.diff(deviations[median:])])


@lru_cache(maxsize=64)
def _on_device(levels: tuple[float, ...], device: torch.device) -> tuple[Float[Tensor, " Q"], Float[Tensor, " Q"]]:
    """Return levels and steps as tensors, made once: while a CUDA graph is captured, nothing can be copied to it."""
    return torch.tensor(levels, device=device), torch.tensor(_steps(levels), dtype=torch.float32, device=device)

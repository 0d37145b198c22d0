"""The normal distribution, of models that give a mean and a deviation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real
from scipy.special import ndtr, ndtri

from vec2uage.predictions.base import Ages, Prediction, check_temperature
from vec2uage.predictions.location_scale import LocationScale
from vec2uage.predictions.mixture import Mixture


@dataclass(frozen=True)
class Normal(LocationScale):
    """Means and standard deviations, in years; a deviation is above 0."""

    @staticmethod
    def standard_quantile(q: Real[np.ndarray, "*k"]) -> Float[np.ndarray, "*k"]:
        return np.asarray(ndtri(q))

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        return self.scale

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return ndtr(self.standardized(age))

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return -(self.standardized(age) ** 2) / 2 - np.log(self.scale) - math.log(2 * math.pi) / 2

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the score by its formula (Gneiting and Raftery 2007, equation 21)."""
        z = self.standardized(age)
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return self.scale * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))

    def own_columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        return {"std": self.scale}

    def tempered(self, temperature: float) -> "Normal":
        check_temperature(temperature)
        return Normal(self.location, self.scale * math.sqrt(temperature))

    def mixed_with(self, others: Sequence[Prediction]) -> Prediction | None:
        return NormalMixture((self, *others)) if all(isinstance(other, Normal) for other in others) else None


class NormalMixture(Mixture):
    """Normal distributions for the same N faces, each of the same weight."""

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the score by its formula (Grimit et al. 2006): mean error less half the mean distance of two draws."""
        means, deviations = (np.stack([getattr(c, name) for c in self.components]) for name in ("mean", "std"))
        means, deviations = means.astype(np.float64), deviations.astype(np.float64)
        between = np.zeros(len(self))
        for mean, deviation in zip(means, deviations, strict=True):
            between += _mean_absolute(means - mean, np.hypot(deviations, deviation)).mean(axis=0)
        return _mean_absolute(age - means, deviations).mean(axis=0) - between / (2 * len(means))


def _mean_absolute(mean: Float[np.ndarray, "M N"], deviation: Float[np.ndarray, "M N"]) -> Float[np.ndarray, "M N"]:
    """Return the expectation of the absolute value of normal variables."""
    z = mean / deviation
    return mean * (2 * ndtr(z) - 1) + deviation * np.exp(-(z**2) / 2) * math.sqrt(2 / math.pi)

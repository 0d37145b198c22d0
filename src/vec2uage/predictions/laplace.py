"""The Laplace distribution, of models that give a median and a scale: its negative log-density is an absolute error."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.base import Ages, check_temperature
from vec2uage.predictions.location_scale import LocationScale


@dataclass(frozen=True)
class Laplace(LocationScale):
    """Medians and scales (the mean absolute deviations from them), in years; a scale is above 0."""

    @staticmethod
    def standard_quantile(q: Real[np.ndarray, "*k"]) -> Float[np.ndarray, "*k"]:
        from_end = np.minimum(q, 1 - q)
        with np.errstate(divide="ignore"):  # the quantiles 0 and 1 are infinite
            return np.asarray(np.sign(0.5 - q) * np.log(2 * from_end))

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        return math.sqrt(2) * self.scale

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        z = self.standardized(age)
        tail = np.exp(-np.abs(z)) / 2
        return np.where(z < 0, tail, 1 - tail)

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return -np.abs(self.standardized(age)) - np.log(2 * self.scale)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the score by its formula (Jordan et al. 2019, appendix A)."""
        z = np.abs(self.standardized(age))
        return self.scale * (z + np.exp(-z) - 0.75)

    def own_columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        return {"scale": self.scale}

    def tempered(self, temperature: float) -> "Laplace":
        check_temperature(temperature)
        return Laplace(self.location, self.scale * temperature)

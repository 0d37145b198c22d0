"""The Laplace distribution, of models that give a median and a scale: its negative log-density is an absolute error."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.base import Ages, Prediction, RowIndex, check_level, check_temperature
from vec2uage.predictions.normal import LEVELS


@dataclass(frozen=True)
class Laplace(Prediction):
    """Medians and scales (the mean absolute deviations from them), in years; a scale is above 0."""

    location: Float[np.ndarray, " N"]
    scale: Float[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.location)

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self.location

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        return math.sqrt(2) * self.scale

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        return self.location

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        z = self._standardized(age)
        tail = np.exp(-np.abs(z)) / 2
        return np.where(z < 0, tail, 1 - tail)

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return -np.abs(self._standardized(age)) - np.log(2 * self.scale)

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        check_level(q)
        return self.location + self.scale * _standard_quantile(np.float64(q))

    def knots(self) -> Float[np.ndarray, "N k"]:
        return self.location[:, None] + self.scale[:, None] * _standard_quantile(LEVELS)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the score by its formula (Jordan et al. 2019, appendix A)."""
        z = np.abs(self._standardized(age))
        return self.scale * (z + np.exp(-z) - 0.75)

    def take(self, index: RowIndex) -> "Laplace":
        return Laplace(self.location[index], self.scale[index])

    def own_columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        return {"scale": self.scale}

    def tempered(self, temperature: float) -> "Laplace":
        check_temperature(temperature)
        return Laplace(self.location, self.scale * temperature)

    def _standardized(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return (np.asarray(age, dtype=np.float64) - self.location) / self.scale


def _standard_quantile(q: np.float64 | Float[np.ndarray, " k"]) -> np.float64 | Float[np.ndarray, " k"]:
    from_end = np.minimum(q, 1 - q)
    with np.errstate(divide="ignore"):  # the quantiles 0 and 1 are infinite
        return np.sign(0.5 - q) * np.log(2 * from_end)

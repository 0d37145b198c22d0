"""Distributions of one shape for all faces, moved to a location and stretched by a scale; they are symmetric."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.base import Ages, Prediction, RowIndex, check_level

# of the quantiles between which a smooth distribution function is integrated
_LEVELS = np.array([1e-12, 1e-8, 1e-5, 1e-3, *np.linspace(0.01, 0.99, 25), 1 - 1e-3, 1 - 1e-5, 1 - 1e-8, 1 - 1e-12])


@dataclass(frozen=True)
class LocationScale(Prediction):
    """Locations, which are mean and median, and scales, in years; a scale is above 0.

    A subclass defines its shape at the location 0 with the scale 1, and what `Prediction` asks beside that.
    """

    location: Float[np.ndarray, " N"]
    scale: Float[np.ndarray, " N"]

    @staticmethod
    @abstractmethod
    def standard_quantile(q: Real[np.ndarray, "*k"]) -> Float[np.ndarray, "*k"]:
        """Return the quantiles of the levels `q`, between 0 and 1, at the location 0 with the scale 1."""

    def __len__(self) -> int:
        return len(self.location)

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self.location

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        return self.location

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        check_level(q)
        return self.location + self.scale * self.standard_quantile(np.array(q, dtype=np.float64))

    def knots(self) -> Float[np.ndarray, "N k"]:
        return self.location[:, None] + self.scale[:, None] * self.standard_quantile(_LEVELS)

    def take(self, index: RowIndex) -> "LocationScale":
        return replace(self, location=self.location[index], scale=self.scale[index])

    def standardized(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        """Return ages as they lie in the distribution at the location 0 with the scale 1."""
        return (np.asarray(age, dtype=np.float64) - self.location) / self.scale

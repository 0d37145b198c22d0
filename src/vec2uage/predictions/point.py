"""A point: all that a model says which gives one number a face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.base import Prediction, RowIndex, check_level


@dataclass(frozen=True)
class Point(Prediction):
    """Ages in years, as they were predicted: each face's whole mass at one age."""

    age: Float[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.age)

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self.age

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        return self.age

    def cdf(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return (self.age <= age).astype(np.float64)

    def log_density(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.where(self.age == age, np.inf, -np.inf)

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        check_level(q)
        return self.age

    def knots(self) -> Float[np.ndarray, "N 1"]:
        return self.age[:, None].astype(np.float64)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the absolute errors: what the score of a point comes down to."""
        return np.abs(self.age.astype(np.float64) - age)

    def take(self, index: RowIndex) -> "Point":
        return Point(self.age[index])

    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        return {"prediction": self.age}

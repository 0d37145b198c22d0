"""A point: all that a model says which gives one number a face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.base import Ages, Prediction, RowIndex, check_level
from vec2uage.predictions.empirical import Empirical


@dataclass(frozen=True)
class Point(Prediction):
    """Ages in years, as they were predicted: each face's whole mass at one age."""

    age: Float[np.ndarray, " N"]
    has_spread: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.age)

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self.age

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        return np.zeros(len(self))

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        return self.age

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return (self.age <= age).astype(np.float64)

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
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

    def mixed_with(self, others: Sequence[Prediction]) -> Prediction | None:
        points = [other.age for other in others if isinstance(other, Point)]
        return Empirical(np.stack([self.age, *points], axis=1)) if len(points) == len(others) else None

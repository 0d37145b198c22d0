"""Mixtures: what several models, or several samples of one model's weights, say together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Real
from scipy.special import logsumexp

from vec2uage.predictions.base import Prediction, RowIndex
from vec2uage.predictions.point import Point


def pool(predictions: Sequence[Prediction]) -> Prediction:
    """Return what several predictions for the same faces say together: the mean of points, a mixture of the others."""
    if all(isinstance(prediction, Point) for prediction in predictions):
        means = np.column_stack([prediction.mean for prediction in predictions]).mean(axis=1, dtype=np.float64)
        return Point(means.astype(predictions[0].mean.dtype))
    return Mixture(predictions)


@dataclass(frozen=True)
class Mixture(Prediction):
    """Predictions for the same N faces, each of the same weight."""

    components: Sequence[Prediction]

    def __len__(self) -> int:
        return len(self.components[0])

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return np.stack([component.mean for component in self.components]).mean(axis=0, dtype=np.float64)

    @cached_property
    def median(self) -> Float[np.ndarray, " N"]:
        return self.quantile(0.5)  # by bisection, and every metric of absolute errors asks for it

    def cdf(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.stack([component.cdf(age) for component in self.components]).mean(axis=0)

    def log_density(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        densities = [component.log_density(age) for component in self.components]
        return logsumexp(densities, axis=0) - np.log(len(self.components))

    def knots(self) -> Float[np.ndarray, "N k"]:
        return np.sort(np.concatenate([component.knots() for component in self.components], axis=1), axis=1)

    def take(self, index: RowIndex) -> "Mixture":
        return Mixture([component.take(index) for component in self.components])

    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        quantiles = {f"q_{level:g}": self.quantile(level) for level in (0.05, 0.25, 0.75, 0.95)}
        return {"prediction": self.median, "mean": self.mean} | quantiles

"""Mixtures: what several models, or several samples of one model's weights, say together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real
from scipy.special import logsumexp

from vec2uage.predictions.base import Prediction, Rows


@dataclass(frozen=True)
class Mixture(Prediction):
    """Predictions for the same N faces, each of the same weight."""

    components: Sequence[Prediction]

    def __len__(self) -> int:
        return len(self.components[0])

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return np.stack([component.mean for component in self.components]).mean(axis=0, dtype=np.float64)

    def cdf(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.stack([component.cdf(age) for component in self.components]).mean(axis=0)

    def log_density(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        densities = [component.log_density(age) for component in self.components]
        return logsumexp(densities, axis=0) - np.log(len(self.components))

    def knots(self) -> Float[np.ndarray, "N k"]:
        return np.sort(np.concatenate([component.knots() for component in self.components], axis=1), axis=1)

    def take(self, rows: Rows) -> "Mixture":
        return Mixture([component.take(rows) for component in self.components])

    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        spread = {f"q_{level:g}": self.quantile(level) for level in (0.05, 0.25, 0.75, 0.95)}
        return {"prediction": self.median, "mean": self.mean} | spread

"""Nearest neighbours (Cover and Hart 1967; as estimate of a distribution: Stone 1977), on balanced ages."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.neighbors import NearestNeighbors

from vec2uage.config.settings import PositiveInt
from vec2uage.predictions.piecewise import Discrete
from vec2uage.training.regressors.age_weights import AgeWeights
from vec2uage.training.regressors.base import relative

_NEAREST = 1e-12  # what a smaller distance counts as


class KNeighbors(RegressorMixin, BaseEstimator):
    """The ages of the nearest faces, each with the weight that balances ages."""

    def __init__(self, n_neighbors: PositiveInt = 20, weights: Literal["uniform", "distance"] = "distance") -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> "KNeighbors":
        """Keep vectors and ages in years."""
        self.age_, self.weight_ = y, relative(sample_weight, len(X))
        self.points_ = X.astype(np.float32)
        return self

    def predict(self, X: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return the weighted means in years."""
        return self.predict_distribution(X).mean

    def predict_distribution(self, X: Float[np.ndarray, "N D"]) -> Discrete:
        """Return the weighted ages of each face's neighbours; of all faces where there are fewer than these."""
        search = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(self.age_)), algorithm="brute")
        distance, faces = search.fit(self.points_.astype(np.float64)).kneighbors(X)
        share = 1 / np.maximum(distance, _NEAREST) if self.weights == "distance" else np.ones_like(distance)
        rows = np.broadcast_to(np.arange(len(X))[:, None], faces.shape)
        ages = AgeWeights.of(self.age_, self.weight_)
        return ages.distribution(ages.sums(rows, faces, share))

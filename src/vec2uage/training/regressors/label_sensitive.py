"""Label-sensitive learning and local regression, after Chao, Liu and Ding (2013), "Facial age estimation based on
label-sensitive learning and age-oriented regression", Pattern Recognition 46.

Theirs is the way: a metric by relevant component analysis, then few directions by locality preserving projections,
both of which see how near the ages of two faces are, with ages balanced, then a support-vector regression for each face
on its neighbours. Ours are the formulas: likeness of ages is Gaussian, the scatter is shrunk, and weights balance both
steps.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from jaxtyping import Float, Integer
from pydantic import Field
from scipy.linalg import eigh
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVR

from vec2uage.base.errors import UserError
from vec2uage.config.settings import PositiveInt
from vec2uage.training.regressors.base import relative
from vec2uage.training.regressors.kernel_ridge import Positive
from vec2uage.training.regressors.kernels import blocks

_RIDGE = 1e-6  # of the mean variance, on the diagonal of a scatter that has to be inverted
_CLOSEST = 1e-12  # what less variance of neighbours counts as

Share = Annotated[float, Field(gt=0, le=1)]
Years = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LabelSensitive(RegressorMixin, BaseEstimator):
    """Projects faces to where those of near ages are near, and regresses on the neighbours of each."""

    def __init__(
        self,
        near_ages: Positive = 2.0,
        shrinkage: Share = 0.5,
        graph_neighbors: PositiveInt = 300,
        n_components: PositiveInt = 10,
        n_neighbors: PositiveInt = 50,
        C: Positive = 3.0,
        epsilon: Years = 0.5,
    ) -> None:
        self.near_ages = near_ages
        self.shrinkage = shrinkage
        self.graph_neighbors = graph_neighbors
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.C = C
        self.epsilon = epsilon

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> "LabelSensitive":
        """Learn the projection; UserError where it is to have more directions than vectors have numbers."""
        if self.n_components > X.shape[1]:
            raise UserError(
                f"model.n_components = {self.n_components}: the vectors have only {X.shape[1]} numbers: at most so many"
            )
        weight = relative(sample_weight, len(X))
        mean = np.average(X, axis=0, weights=weight)
        metric = self._metric(X - mean, y, weight)
        directions = metric @ self._directions((X - mean) @ metric, y, weight)
        self.mean_, self.directions_ = mean, directions
        self.points_ = ((X - mean) @ directions).astype(np.float32)
        self.age_, self.weight_ = y, weight
        return self

    def predict(self, X: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return ages in years."""
        projected, points = (X - self.mean_) @ self.directions_, self.points_.astype(np.float64)
        ages = np.zeros(len(X))
        with config_context(assume_finite=True, skip_parameter_validation=True):  # thousands of small fits
            for rows, near in _neighbors(points, projected, self.n_neighbors):
                for row, faces in enumerate(near, start=rows.start):
                    # gamma=scale would take the variance of all numbers, and change with the sign of a direction
                    gamma = 1 / max(points[faces].var(axis=0).sum(), _CLOSEST)
                    local = SVR(C=self.C, epsilon=self.epsilon, gamma=gamma)
                    local.fit(points[faces], self.age_[faces], sample_weight=self.weight_[faces])
                    ages[row] = local.predict(projected[row : row + 1])[0]
        return ages

    def _likeness(self, years: Float[np.ndarray, "*k"]) -> Float[np.ndarray, "*k"]:
        """Return how alike ages so many years apart are, 1 at most."""
        return np.exp(-np.square(years / self.near_ages) / 2)

    def _metric(
        self, x: Float[np.ndarray, "n D"], age: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, "D D"]:
        """Return what makes the scatter of faces about those of like ages the same in all directions.

        This is relevant component analysis (Bar-Hillel et al. 2005) with all pairs of faces, each as far as the whole
        years of their ages are alike.
        """
        ages, of_face = np.unique(np.floor(age), return_inverse=True)
        likeness = self._likeness(ages[:, None] - ages)
        sums = np.zeros((len(ages), x.shape[1]))
        np.add.at(sums, of_face, weight[:, None] * x)
        degree = weight * (likeness @ np.bincount(of_face, weight))[of_face]
        scatter = ((x.T * degree) @ x - sums.T @ likeness @ sums) / degree.sum()
        return _whitening(_shrunk(scatter, self.shrinkage))

    def _directions(
        self, z: Float[np.ndarray, "n D"], age: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, "D d"]:
        """Return the directions in which neighbours of like ages are nearest, for the variance that all faces have.

        They are locality preserving projections (He and Niyogi 2003) of the graph of neighbours, whose edges weigh as
        much as the ages at their ends are alike.
        """
        degree, products = np.zeros(len(z)), np.zeros((z.shape[1], z.shape[1]))
        for rows, near in _neighbors(z, z, self.graph_neighbors):
            edges = self._likeness(age[rows, None] - age[near]) * weight[rows, None] * weight[near]
            starts = np.arange(0, edges.size + 1, edges.shape[1])
            graph = csr_matrix((edges.ravel(), near.ravel(), starts), shape=(len(near), len(z)))
            products += z[rows].T @ (graph @ z)
            degree[rows] += edges.sum(axis=1)
            degree += np.bincount(near.ravel(), edges.ravel(), minlength=len(z))
        between = (z.T * degree) @ z - products - products.T
        overall = _shrunk((z.T * weight) @ z, _RIDGE)
        directions: Float[np.ndarray, "D d"] = eigh(between, overall, subset_by_index=(0, self.n_components - 1))[1]
        return directions


def _shrunk(scatter: Float[np.ndarray, "D D"], share: float) -> Float[np.ndarray, "D D"]:
    """Return a scatter of which a share is the same in all directions (Ledoit and Wolf 2004)."""
    mean = np.trace(scatter) / len(scatter)
    return (1 - share) * scatter + share * mean * np.eye(len(scatter))


def _whitening(scatter: Float[np.ndarray, "D D"]) -> Float[np.ndarray, "D D"]:
    """Return the matrix after which a scatter is the identity."""
    values, axes = eigh(scatter)
    return axes / np.sqrt(values)


def _neighbors(
    points: Float[np.ndarray, "n d"], faces: Float[np.ndarray, "N d"], count: int
) -> Iterator[tuple[slice, Integer[np.ndarray, "_ k"]]]:
    """Yield the nearest points of some faces at a time."""
    search = NearestNeighbors(n_neighbors=min(count, len(points)), algorithm="brute").fit(points)
    for rows in blocks(len(faces)):
        yield rows, search.kneighbors(faces[rows], return_distance=False)

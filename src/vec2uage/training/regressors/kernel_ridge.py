"""Kernel ridge regression (Saunders, Gammerman and Vovk 1998), on balanced ages and on many rows."""

from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field
from sklearn.base import BaseEstimator, RegressorMixin

from vec2uage.config.settings import PositiveInt
from vec2uage.training.regressors.base import relative
from vec2uage.training.regressors.kernels import Kernel, KernelSystem, blocks, solving_bytes

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class KernelRegressor(RegressorMixin, BaseEstimator):
    """Ridge regression of any targets in the space of a kernel: what its regressors share, with their options."""

    def __init__(
        self,
        kernel: Kernel = "matern32",
        length_scale: Positive = 1.0,
        alpha: Positive = 0.1,
        exact_rows: PositiveInt = 4000,
        inducing: PositiveInt = 1000,
        random_state: int = 0,
    ) -> None:
        self.kernel = kernel
        self.length_scale = length_scale
        self.alpha = alpha
        self.exact_rows = exact_rows
        self.inducing = inducing
        self.random_state = random_state

    def fit_bytes(self, rows: int) -> int:
        """Return the bytes that fitting takes."""
        return solving_bytes(rows, self.exact_rows, self.inducing)

    def _solve(
        self, X: Float[np.ndarray, "n D"], target: Float[np.ndarray, "n *T"], weight: Float[np.ndarray, " n"]
    ) -> None:
        """Learn the targets, whose weighted means are 0."""
        solved = self._system().solve(X, target, weight, self.exact_rows, self.inducing, self.random_state)
        self.points_ = solved.points.astype(np.float32)
        self.coefficients_ = solved.coefficients

    def _learned(self, X: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N *T"]:
        """Return what was learned of the targets, for vectors."""
        system, points = self._system(), self.points_.astype(np.float64)
        parts = [system(X[rows], points) @ self.coefficients_ for rows in blocks(len(X))]
        return np.concatenate([np.zeros((0, *self.coefficients_.shape[1:])), *parts])

    def _system(self) -> KernelSystem:
        return KernelSystem(self.kernel, self.length_scale, self.alpha)


class KernelRidge(KernelRegressor):
    """Ridge regression in the space of a kernel, around the weighted mean age."""

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> "KernelRidge":
        """Fit to vectors and ages in years."""
        weight = relative(sample_weight, len(X))
        self.mean_ = float(np.average(y, weights=weight))
        self._solve(X, y - self.mean_, weight)
        return self

    def predict(self, X: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return ages in years."""
        return self.mean_ + self._learned(X)

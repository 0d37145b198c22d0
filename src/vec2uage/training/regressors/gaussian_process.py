"""Gaussian process regression (Rasmussen and Williams 2006), on balanced ages and on many rows."""

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cholesky
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin

from vec2uage.base.errors import UserError
from vec2uage.config.settings import PositiveInt
from vec2uage.predictions.normal import Normal
from vec2uage.training.regressors.base import relative
from vec2uage.training.regressors.kernel_ridge import Positive
from vec2uage.training.regressors.kernels import (
    Kernel,
    KernelSystem,
    blocks,
    correlation,
    distances,
    inverse_of_triangle,
    random_rows,
    solving_bytes,
)

_TUNING_MATRICES = 6  # of the size of the covariance of the rows that tune, at most
_WIDEST = 5.0  # how far tuning may go from where it starts: factors of exp(-5) to exp(5)


class GaussianProcess(RegressorMixin, BaseEstimator):
    """A normal distribution of age for each face: that of the function where the face lies, and the noise.

    Length scale and noise are tuned on some rows, each of which is foretold from the others; the variance of the
    function is then the one that is most likely for all rows. A face of weight w has 1/w of the noise, a new one that
    of weight 1.
    """

    def __init__(
        self,
        kernel: Kernel = "matern32",
        length_scale: Positive = 1.0,
        noise: Positive = 0.1,
        tuning_rows: PositiveInt | None = 1000,
        exact_rows: PositiveInt = 4000,
        inducing: PositiveInt = 1000,
        random_state: int = 0,
    ) -> None:
        self.kernel = kernel
        self.length_scale = length_scale
        self.noise = noise
        self.tuning_rows = tuning_rows
        self.exact_rows = exact_rows
        self.inducing = inducing
        self.random_state = random_state

    def fit(
        self,
        X: Float[np.ndarray, "n D"],
        y: Float[np.ndarray, " n"],
        sample_weight: Float[np.ndarray, " n"] | None = None,
    ) -> "GaussianProcess":
        """Fit to vectors and ages in years; UserError where all are of one age."""
        x, age, weight = X, y, relative(sample_weight, len(X))
        if age.min() == age.max():
            raise UserError(f"model: all training faces are {age[0]:g} years old: a Gaussian process needs two ages")
        self.mean_ = float(np.average(age, weights=weight))
        target = age - self.mean_
        self.length_scale_, self.noise_ = self._tuned(x, target, weight)
        solved = self._system().solve(x, target, weight, self.exact_rows, self.inducing, self.random_state)
        self.variance_ = solved.misfit / len(x)
        self.points_, self.root_ = solved.points.astype(np.float32), solved.root().astype(np.float32)
        self.coefficients_ = solved.coefficients
        return self

    def predict(self, X: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return the means in years."""
        return self.predict_distribution(X).mean

    def predict_distribution(self, X: Float[np.ndarray, "N D"]) -> Normal:
        """Return the distributions of the ages, noise included (equations 2.25 and 2.26)."""
        system, points = self._system(), self.points_.astype(np.float64)
        means, shares = [np.zeros(0)], [np.zeros(0)]
        for rows in blocks(len(X)):
            near = system(X[rows], points)
            means.append(self.mean_ + near @ self.coefficients_)
            known = np.square(near.astype(np.float32) @ self.root_.T).sum(axis=1, dtype=np.float64)
            shares.append(np.maximum(1 - known, 0) + self.noise_)
        return Normal(np.concatenate(means), np.sqrt(self.variance_ * np.concatenate(shares)))

    def fit_bytes(self, rows: int) -> int:
        """Return the bytes that fitting takes: what tunes it, then the solution and its root in single precision."""
        tuning = _TUNING_MATRICES * 8 * min(rows, self.tuning_rows or 0) ** 2
        points = rows if rows <= self.exact_rows else min(rows, self.inducing)
        return max(tuning, solving_bytes(rows, self.exact_rows, self.inducing) + 4 * points**2)

    def _system(self) -> KernelSystem:
        return KernelSystem(self.kernel, self.length_scale_, self.noise_)

    def _tuned(
        self, x: Float[np.ndarray, "n D"], target: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
    ) -> tuple[float, float]:
        """Return the length scale and the noise by which some rows foretell others best, in reach of those given."""
        if self.tuning_rows is None:
            return self.length_scale, self.noise
        some = random_rows(len(x), self.tuning_rows, self.random_state, "tuning")
        apart, target, weight = distances(x[some]), target[some], weight[some]
        start = np.log([self.length_scale, self.noise])

        def unlikely(logs: Float[np.ndarray, " 2"]) -> float:
            length_scale, noise = np.exp(logs)
            return -left_out_score(correlation(self.kernel, apart / length_scale), noise, target, weight)

        bounds = [(value - _WIDEST, value + _WIDEST) for value in start]
        options = {"initial_simplex": start + np.array([[0, 0], [1, 0], [0, -1]]), "xatol": 0.05, "fatol": 1e-4}
        found = np.exp(minimize(unlikely, start, method="Nelder-Mead", bounds=bounds, options=options).x)
        return float(found[0]), float(found[1])


def left_out_score(
    covariance: Float[np.ndarray, "n n"],
    noise: float,
    target: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
) -> float:
    """Return the weighted mean of the log density of each target given all others (equations 5.10 to 5.13).

    It is that of a new face, of weight 1, at the variance that makes it greatest; less log(2 pi e) / 2. -inf where the
    covariance is singular. The marginal likelihood trusts that ages are a sample of the process; this asks only how
    well one is foretold, of every age alike.
    """
    try:
        factor = cholesky(covariance + np.diag(noise / weight), lower=True)
    except LinAlgError:
        return -np.inf
    root = inverse_of_triangle(factor)
    precision = np.square(root).sum(axis=0)
    error = root.T @ (root @ target) / precision
    share = 1 / precision + noise * (1 - 1 / weight)
    variance = np.average(error**2 / share, weights=weight)
    return float(-np.average(np.log(variance * share), weights=weight) / 2)

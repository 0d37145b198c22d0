"""Functions that fall with the distance of two vectors, and the linear systems that they make of training faces.

They are exact for few rows. For many, the function is a sum over a random subset of the rows (Nystroem; Williams and
Seeger 2001, "Using the Nystroem Method to Speed Up Kernel Machines"), and what that misses at a row counts as noise of
this row (Snelson and Ghahramani 2006, "Sparse Gaussian Processes using Pseudo-inputs", known as FITC): memory grows
with the rows and not with their square.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer
from scipy.linalg import LinAlgError, cho_solve, cholesky, eigh, solve_triangular
from scipy.linalg.lapack import dtrtri

from vec2uage.base.errors import UserError
from vec2uage.base.seeds import numpy_generator

Kernel = Literal["matern12", "matern32", "matern52", "rbf"]
_CORRELATIONS: dict[str, Callable[[Float[np.ndarray, "N M"]], Float[np.ndarray, "N M"]]] = {
    "matern12": lambda r: np.exp(-r),
    "matern32": lambda r: (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r),
    "matern52": lambda r: (1 + np.sqrt(5) * r + 5 / 3 * r * r) * np.exp(-np.sqrt(5) * r),
    "rbf": lambda r: np.exp(-r * r / 2),
}
_BLOCK = 1024  # rows at a time
_JITTER = 1e-6  # on the diagonal of a subset's kernel: near-copies of faces make it singular


def distances(x: Float[np.ndarray, "N D"], points: Float[np.ndarray, "M D"] | None = None) -> Float[np.ndarray, "N M"]:
    """Return Euclidean distances, to `points` or among the rows."""
    from sklearn.metrics.pairwise import euclidean_distances

    return euclidean_distances(x, points)


def correlation(kernel: Kernel, r: Float[np.ndarray, "N M"]) -> Float[np.ndarray, "N M"]:
    """Return the kernel at distances in units of its length scale (Rasmussen and Williams 2006, equation 4.17)."""
    return _CORRELATIONS[kernel](r)


@dataclass(frozen=True)
class Solution:
    """What `k(x, points) @ coefficients` needs to give the fitted function at x, and `|root @ k(points, x)|^2` how much
    of its variance, 1 before, the training rows take away."""

    points: Float[np.ndarray, "M D"]
    coefficients: Float[np.ndarray, "M *T"]
    misfit: float
    """The quadratic form of the targets in the inverse of their covariance; of several targets, the sum."""
    root: Callable[[], Float[np.ndarray, "M M"]]
    """Makes the root once: it takes the place of what the solution was found by."""


@dataclass(frozen=True)
class KernelSystem:
    """A kernel with its length scale, and the variance of the noise as a share of that of the function."""

    kernel: Kernel
    length_scale: float
    noise: float

    def __call__(self, x: Float[np.ndarray, "N D"], points: Float[np.ndarray, "M D"]) -> Float[np.ndarray, "N M"]:
        return correlation(self.kernel, distances(x, points) / self.length_scale)

    def solve(
        self,
        x: Float[np.ndarray, "N D"],
        target: Float[np.ndarray, "N *T"],
        weight: Float[np.ndarray, " N"],
        exact_rows: int,
        inducing: int,
        seed: int,
    ) -> Solution:
        """Fit the targets, T of them at once where they are a matrix.

        A row of weight w has 1/w of the noise, as w rows of one vector have in the mean. Above `exact_rows`,
        `inducing` random ones stand for all.
        UserError where the noise is too little for rows that are nearly the same.
        """
        try:
            if len(x) <= exact_rows:
                return self._exact(x, target, weight)
            return self._sparse(x, target, weight, x[random_rows(len(x), inducing, seed, "inducing")])
        except LinAlgError:
            raise UserError(
                f"model: with a length scale of {self.length_scale:g} and a noise of {self.noise:g}, some faces are "
                "too much alike to be told apart: raise model.noise (model.alpha where there is none), or lower "
                "model.length_scale"
            ) from None

    def _exact(
        self, x: Float[np.ndarray, "N D"], target: Float[np.ndarray, "N *T"], weight: Float[np.ndarray, " N"]
    ) -> Solution:
        covariance = np.empty((len(x), len(x)))
        for rows in blocks(len(x)):
            covariance[rows] = self(x[rows], x)
        np.fill_diagonal(covariance, 1 + self.noise / weight)
        # Transposed, it lies as LAPACK has it: factor and root take its place, and no second matrix is needed.
        factor = cholesky(covariance.T, lower=True, overwrite_a=True)
        coefficients = cho_solve((factor, True), target)
        misfit = float(np.vdot(target, coefficients))
        return Solution(x, coefficients, misfit, lambda: inverse_of_triangle(factor))

    def _sparse(
        self,
        x: Float[np.ndarray, "N D"],
        target: Float[np.ndarray, "N *T"],
        weight: Float[np.ndarray, " N"],
        points: Float[np.ndarray, "M D"],
    ) -> Solution:
        own = correlation(self.kernel, distances(points) / self.length_scale)
        factor = cholesky(own + _JITTER * np.eye(len(points)), lower=True)
        gram, product, squares = np.eye(len(points)), np.zeros((len(points), *target.shape[1:])), 0.0
        for rows in blocks(len(x)):
            features = solve_triangular(factor, self(x[rows], points).T, lower=True)
            precision = 1 / (np.maximum(1 - np.square(features).sum(axis=0), 0) + self.noise / weight[rows])
            gram += (features * precision) @ features.T
            product += features @ (precision * target[rows].T).T
            squares += float(np.sum(precision @ target[rows] ** 2))
        strength, axes = eigh(gram, overwrite_a=True)
        along = axes.T @ product
        fitted = (along.T / strength).T
        root = np.sqrt(np.maximum(1 - 1 / strength, 0))[:, None] * axes.T
        return Solution(
            points,
            solve_triangular(factor, axes @ fitted, lower=True, trans="T"),
            squares - float(np.vdot(along, fitted)),
            lambda: solve_triangular(factor, root.T, lower=True, trans="T").T,
        )


def solving_bytes(rows: int, exact_rows: int, inducing: int) -> int:
    """Return the bytes that `KernelSystem.solve` takes: covariances of all rows or inducing ones, and rows at work."""
    points, matrices = (rows, 1) if rows <= exact_rows else (min(rows, inducing), 6)
    return 8 * points * (matrices * points + 5 * min(rows, _BLOCK))


def inverse_of_triangle(factor: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return the inverse of a lower triangular matrix, in its place."""
    inverse, _ = dtrtri(factor, lower=1, overwrite_c=1)
    return inverse


def random_rows(rows: int, most: int, seed: int, purpose: str) -> Integer[np.ndarray, " n"]:
    """Return at most so many of the rows, in their order."""
    return np.sort(numpy_generator(seed, purpose).choice(rows, min(most, rows), replace=False))


def blocks(rows: int) -> Iterator[slice]:
    """Yield the rows a block at a time."""
    for first in range(0, rows, _BLOCK):
        yield slice(first, first + _BLOCK)

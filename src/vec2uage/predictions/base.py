"""What a prediction is: a distribution of age for each of N faces, whatever the model that made it."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Bool, Float, Integer, Real

RowIndex = Integer[np.ndarray, " n"] | Bool[np.ndarray, " N"] | slice

# Gauss-Legendre on [-1, 1]: exact for polynomials up to degree 7, so for squares of distribution functions that are
# linear or constant between two knots.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_HALVINGS = 60  # of the interval between two knots: below the spacing of float64


class Prediction(ABC):
    """A distribution of age, in years, for each of N faces.

    A subclass defines `mean`, `cdf`, `log_density`, `knots`, `take`, `columns` and `__len__`. All else follows from
    these; it is overridden where there is a formula that is exact or faster.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return N."""

    @property
    @abstractmethod
    def mean(self) -> Float[np.ndarray, " N"]:
        """The expectation of each face's age."""

    @abstractmethod
    def cdf(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return each face's probability of being at most `age` years old: one age for all, or one for each."""

    @abstractmethod
    def log_density(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the logarithm of each face's density at `age`, in 1/years; of a point it is -inf or inf."""

    @abstractmethod
    def knots(self) -> Float[np.ndarray, "N k"]:
        """Return ascending ages between which each face's distribution is smooth, and beyond which it has no mass."""

    @abstractmethod
    def take(self, index: RowIndex) -> "Prediction":
        """Return the predictions for some of the faces."""

    @abstractmethod
    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        """Return the columns of predictions.csv: `prediction` (the median), then what describes the distribution."""

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        """The age that each face is with probability 1/2 at most."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        """Return for each face the least age with `cdf(age) >= q`; ValueError unless `q` lies between 0 and 1."""
        check_level(q)
        knots = self.knots()
        reached = np.stack([self.cdf(knot) for knot in knots.T], axis=1) >= q
        above = np.where(reached.any(axis=1), reached.argmax(axis=1), knots.shape[1] - 1)
        rows = np.arange(len(self))
        high, low = knots[rows, above], knots[rows, np.maximum(above - 1, 0)]
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = self.cdf(middle) >= q
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(np.isnan(self.mean), np.nan, high)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the continuous ranked probability score of each face whose true age is `age`, in years; 0 is best.

        It is the integral of `(cdf(x) - 1[x >= age])^2` over x (Gneiting and Raftery 2007), by quadrature between the
        knots: exact where the distribution function is linear or constant there.
        """
        age = np.asarray(age, dtype=np.float64)
        edges = np.sort(np.concatenate([self.knots(), age[:, None]], axis=1), axis=1)
        total = np.zeros(len(self))
        for left, right in zip(edges.T[:-1], edges.T[1:], strict=True):
            for node, weight in zip(_NODES, _WEIGHTS, strict=True):
                x = (left + right) / 2 + node * (right - left) / 2
                total += weight * (right - left) / 2 * (self.cdf(x) - (x >= age)) ** 2
        return total


def check_level(q: float) -> None:
    """Raise ValueError unless `q` lies between 0 and 1."""
    if not 0 <= q <= 1:
        raise ValueError(f"the level of a quantile lies between 0 and 1: {q}")

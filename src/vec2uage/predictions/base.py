"""What a prediction is: a distribution of age for each of N faces, whatever the model that made it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Integer, Real

from vec2uage.base.errors import UserError

RowIndex = Integer[np.ndarray, " n"] | Bool[np.ndarray, " N"] | slice
Ages = float | Real[np.ndarray, "*G N"]
"""One age for all faces, or one for each, or G times so many."""

# Gauss-Legendre on [-1, 1]: exact for polynomials up to degree 5, so for squares of distribution functions that are
# linear or constant between two knots; off by less than a millionth of a year for a mixture of normal ones.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_FACES = 256  # whose score is integrated at once: bounds the memory that it takes


class Prediction(ABC):
    """A distribution of age, in years, for each of N faces.

    A subclass defines `mean`, `std`, `cdf`, `log_density`, `quantile`, `knots`, `take` and `__len__`. All else follows
    from these; it is overridden where there is a formula that is exact or faster.
    """

    has_spread: ClassVar[bool] = True
    """Whether it says how sure it is."""

    @abstractmethod
    def __len__(self) -> int:
        """Return N."""

    @property
    @abstractmethod
    def mean(self) -> Float[np.ndarray, " N"]:
        """The expectation of each face's age."""

    @property
    @abstractmethod
    def std(self) -> Float[np.ndarray, " N"]:
        """The standard deviation of each face's age."""

    @abstractmethod
    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        """Return each face's probability of being at most `age` years old."""

    @abstractmethod
    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        """Return the logarithm of each face's density at `age`, in 1/years; of a point it is -inf or inf."""

    @abstractmethod
    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        """Return for each face the least age with `cdf(age) >= q`; ValueError unless `q` lies between 0 and 1."""

    @abstractmethod
    def knots(self) -> Float[np.ndarray, "N k"]:
        """Return ascending ages between which each face's distribution is smooth, and beyond which it has no mass."""

    @abstractmethod
    def take(self, index: RowIndex) -> "Prediction":
        """Return the predictions for some of the faces."""

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        """The age that each face is with probability 1/2 at most."""
        return self.quantile(0.5)

    def interval(self, level: float) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Return the lowest and the highest age of each face's central interval: it holds `level` (0 to 1)."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        """Return the columns of predictions.csv: `prediction` (the median), then what describes the distribution."""
        low, high = self.interval(0.9)
        return {"prediction": self.median, "mean": self.mean, "low_90": low, "high_90": high, **self.own_columns()}

    def own_columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        """Return the columns that only predictions of this type have, such as the probability of each age."""
        return {}

    def pit(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return each face's probability of being at most as old as it is, the probability integral transform.

        Over faces it is uniform between 0 and 1 where the distributions are calibrated (Dawid 1984).
        """
        return self.cdf(age)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the continuous ranked probability score of each face whose true age is `age`, in years; 0 is best.

        It is the integral of `(cdf(x) - 1[x >= age])^2` over x (Gneiting and Raftery 2007), by quadrature between the
        knots: exact where the distribution function is linear or constant there.
        """
        blocks = [slice(first, first + _FACES) for first in range(0, len(self), _FACES)]
        return np.concatenate([np.zeros(0), *(self.take(rows)._integrated_score(age[rows]) for rows in blocks)])

    def _integrated_score(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        edges = np.sort(np.concatenate([self.knots(), age[:, None].astype(np.float64)], axis=1), axis=1).T
        half = (edges[1:] - edges[:-1]) / 2
        x = edges[:-1] + half * (1 + _NODES[:, None, None])
        return (_WEIGHTS[:, None, None] * half * (self.cdf(x) - (x >= age)) ** 2).sum(axis=(0, 1))

    def tempered(self, temperature: float) -> "Prediction":
        """Return each density to the power of 1 / `temperature`, above 0: above 1 it is less sure than before.

        Raises UserError where there is no density.
        """
        raise UserError(
            f"predictions of type {type(self).__name__} have no probabilities that a temperature could change"
        )

    def mixed_with(self, others: Sequence["Prediction"]) -> "Prediction | None":
        """Return the mixture of this and others, each of the same weight, if it has a simpler type than `Mixture`."""
        return None


def check_level(q: float) -> None:
    """Raise ValueError unless `q` lies between 0 and 1."""
    if not 0 <= q <= 1:
        raise ValueError(f"the level of a quantile lies between 0 and 1: {q}")


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless a temperature is above 0."""
    if not 0 < temperature < np.inf:
        raise ValueError(f"a temperature is above 0: {temperature}")

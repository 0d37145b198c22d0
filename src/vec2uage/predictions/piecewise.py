"""Distribution functions that rise along straight lines: probabilities on a grid of ages, and quantiles."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, Real

from vec2uage.predictions.base import Prediction, RowIndex, check_level


class Piecewise(Prediction):
    """A distribution function given at knots, linear between them; it may jump at its ends and where knots coincide."""

    @abstractmethod
    def knots(self) -> Float[np.ndarray, "N k"]: ...

    @abstractmethod
    def cumulative(self) -> Float[np.ndarray, "N k"]:
        """Return the distribution function at the knots."""

    def __len__(self) -> int:
        return len(self.knots())

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        knots, cumulative = self.knots(), self.cumulative()
        inside = np.diff(cumulative, axis=1) * (knots[:, 1:] + knots[:, :-1]) / 2
        return inside.sum(axis=1) + cumulative[:, 0] * knots[:, 0] + (1 - cumulative[:, -1]) * knots[:, -1]

    def cdf(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        ages, knots, cumulative = self._ages(age), self.knots(), self.cumulative()
        passed = (knots <= ages[:, None]).sum(axis=1)
        left, width, rise = self._segment(passed)
        share = np.divide(ages - _at(knots, left), width, out=np.ones(len(self)), where=width > 0)
        inside = _at(cumulative, left) + share * rise
        return np.select([passed == 0, passed == knots.shape[1]], [0.0, 1.0], inside)

    def log_density(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        ages, knots, cumulative = self._ages(age), self.knots(), self.cumulative()
        _, width, rise = self._segment((knots <= ages[:, None]).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.log(rise / width)
        # where the distribution function jumps, the density is infinite: at the ends, and where knots coincide
        at = knots == ages[:, None]
        jumps = at[:, 0] & (cumulative[:, 0] > 0) | at[:, -1] & (cumulative[:, -1] < 1)
        jumps |= (at[:, 1:] & at[:, :-1]).any(axis=1)
        outside = (ages < knots[:, 0]) | (ages > knots[:, -1])
        return np.select([outside, jumps], [-np.inf, np.inf], found)

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        check_level(q)
        knots, cumulative = self.knots(), self.cumulative()
        passed = (cumulative < q).sum(axis=1)
        left, width, rise = self._segment(passed)
        flat = rise <= 0  # not where it is NaN, which stays one
        share = np.divide(q - _at(cumulative, left), rise, out=np.ones(len(self)), where=~flat)
        inside = _at(knots, left) + share * width
        return np.select([passed == 0, passed == knots.shape[1]], [knots[:, 0], knots[:, -1]], inside)

    def _ages(self, age: float | Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.broadcast_to(np.asarray(age, dtype=np.float64), len(self))

    def _segment(
        self, passed: Integer[np.ndarray, " N"]
    ) -> tuple[Integer[np.ndarray, " N"], Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Return the left knot of the segment that follows `passed` knots, and the segment's width and rise."""
        knots, cumulative = self.knots(), self.cumulative()
        left = np.clip(passed, 1, knots.shape[1] - 1) - 1
        return left, _at(knots, left + 1) - _at(knots, left), _at(cumulative, left + 1) - _at(cumulative, left)


@dataclass(frozen=True)
class Discrete(Piecewise):
    """Probabilities on two or more ascending ages, in years, each spread evenly over the cell around its age.

    A cell ends halfway to the next age, so that fractions of years have a density, and the median is not a whole year.
    """

    ages: Float[np.ndarray, " G"]
    probabilities: Float[np.ndarray, "N G"]

    def __len__(self) -> int:
        return len(self.probabilities)

    def knots(self) -> Float[np.ndarray, "N k"]:
        between = (self.ages[1:] + self.ages[:-1]) / 2
        ends = 2 * self.ages[0] - between[0], 2 * self.ages[-1] - between[-1]
        edges = np.array([ends[0], *between, ends[1]], dtype=np.float64)
        return np.broadcast_to(edges, (len(self), len(edges)))

    def cumulative(self) -> Float[np.ndarray, "N k"]:
        summed = np.cumsum(self.probabilities, axis=1, dtype=np.float64)
        return np.concatenate([np.zeros((len(self), 1)), summed / summed[:, -1:]], axis=1)

    def take(self, index: RowIndex) -> "Discrete":
        return Discrete(self.ages, self.probabilities[index])

    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        of_ages = zip(self.ages, self.probabilities.T, strict=True)
        return {"prediction": self.median, "mean": self.mean} | {f"p_{age:g}": column for age, column in of_ages}


@dataclass(frozen=True)
class Quantiles(Piecewise):
    """Ages in years at ascending levels between 0 and 1; what lies beyond the outer levels is put at the outer ages."""

    levels: Float[np.ndarray, " Q"]
    ages: Float[np.ndarray, "N Q"]

    def knots(self) -> Float[np.ndarray, "N k"]:
        return self.ages

    def cumulative(self) -> Float[np.ndarray, "N k"]:
        return np.broadcast_to(self.levels, self.ages.shape)

    def take(self, index: RowIndex) -> "Quantiles":
        return Quantiles(self.levels, self.ages[index])

    def columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        of_levels = zip(self.levels, self.ages.T, strict=True)
        return {"prediction": self.median, "mean": self.mean} | {f"q_{level:g}": column for level, column in of_levels}


def _at(values: Float[np.ndarray, "N k"], column: Integer[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return one value of each row."""
    return np.take_along_axis(values, column[:, None], axis=1)[:, 0]

"""Distribution functions that rise along straight lines: probabilities on a grid of ages, and quantiles."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Integer, Real

from vec2uage.predictions.base import Ages, Prediction, RowIndex, check_level, check_temperature


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

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        knots, cumulative = self.knots() - self.mean[:, None], self.cumulative()
        left, right = knots[:, :-1], knots[:, 1:]
        inside = np.diff(cumulative, axis=1) * (left**2 + left * right + right**2) / 3
        ends = cumulative[:, 0] * knots[:, 0] ** 2 + (1 - cumulative[:, -1]) * knots[:, -1] ** 2
        return np.sqrt(inside.sum(axis=1) + ends)

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        ages, knots, cumulative = np.asarray(age, dtype=np.float64), self.knots(), self.cumulative()
        passed = (knots <= ages[..., None]).sum(axis=-1)
        left = _left(passed, knots)
        width, rise = _at(knots, left + 1) - _at(knots, left), _at(cumulative, left + 1) - _at(cumulative, left)
        share = np.divide(ages - _at(knots, left), width, out=np.ones(passed.shape), where=width > 0)
        inside = _at(cumulative, left) + share * rise
        return np.where(passed == 0, 0.0, np.where(passed == knots.shape[1], 1.0, inside))

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        ages, knots, cumulative = np.asarray(age, dtype=np.float64), self.knots(), self.cumulative()
        left = _left((knots <= ages[..., None]).sum(axis=-1), knots)
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = _at(cumulative, left + 1) - _at(cumulative, left)
            found = np.log(rise / (_at(knots, left + 1) - _at(knots, left)))
        # where the distribution function jumps, the density is infinite: at the ends, and where knots coincide
        at = knots == ages[..., None]
        jumps = at[..., 0] & (cumulative[:, 0] > 0) | at[..., -1] & (cumulative[:, -1] < 1)
        jumps |= (at[..., 1:] & at[..., :-1] & (np.diff(cumulative, axis=1) > 0)).any(axis=-1)
        outside = (ages < knots[:, 0]) | (ages > knots[:, -1])
        return np.select([outside, jumps], [-np.inf, np.inf], found)

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        check_level(q)
        knots, cumulative = self.knots(), self.cumulative()
        passed = (cumulative < q).sum(axis=1)
        left = _left(passed, knots)
        width, rise = _at(knots, left + 1) - _at(knots, left), _at(cumulative, left + 1) - _at(cumulative, left)
        flat = rise <= 0  # not where it is NaN, which stays one
        share = np.divide(q - _at(cumulative, left), rise, out=np.ones(len(self)), where=~flat)
        inside = _at(knots, left) + share * width
        return np.select([passed == 0, passed == knots.shape[1]], [knots[:, 0], knots[:, -1]], inside)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the score by the formula for the integral of a square that rises along a line, segment by segment."""
        knots, cumulative, ages = self.knots(), self.cumulative(), age[:, None].astype(np.float64)
        left, right, before, after = knots[:, :-1], knots[:, 1:], cumulative[:, :-1], cumulative[:, 1:]
        middle = np.clip(ages, left, right)  # up to it the true distribution function is 0, from it on 1
        share = np.divide(middle - left, right - left, out=np.zeros(left.shape), where=right > left)
        reached = before + share * (after - before)
        below = (middle - left) * _mean_square(before, reached)
        above = (right - middle) * _mean_square(1 - reached, 1 - after)
        beyond = np.maximum(knots[:, :1] - ages, 0) + np.maximum(ages - knots[:, -1:], 0)
        return (below + above).sum(axis=1) + beyond[:, 0]

    def mixed_with(self, others: Sequence[Prediction]) -> Prediction | None:
        pieces = [self, *(other for other in others if isinstance(other, Piecewise))]
        if len(pieces) <= len(others):
            return None
        knots = np.concatenate([piece.knots() for piece in pieces], axis=1)
        ends = np.concatenate([piece.knots()[:, [0, -1]] for piece in pieces], axis=1)  # where it may jump
        ages = np.concatenate([knots, ends], axis=1)
        at = np.concatenate([knots, np.nextafter(ends, -np.inf)], axis=1).T
        levels = np.mean([piece.cdf(at) for piece in pieces], axis=0).T
        order = np.lexsort((levels, ages), axis=1)
        ages, levels = (np.take_along_axis(values, order, axis=1) for values in (ages, levels))
        return Quantiles(np.maximum.accumulate(levels, axis=1), ages)


@dataclass(frozen=True)
class Discrete(Piecewise):
    """Probabilities on two or more ascending ages, in years, each spread evenly over the cell around its age.

    A cell ends halfway to the next age, so that fractions of years have a density, and the median is not a whole year.
    """

    ages: Float[np.ndarray, " G"]
    probabilities: Float[np.ndarray, "N G"]

    def __len__(self) -> int:
        return len(self.probabilities)

    @cached_property
    def _edges(self) -> Float[np.ndarray, "N k"]:
        between = (self.ages[1:] + self.ages[:-1]) / 2
        ends = 2 * self.ages[0] - between[0], 2 * self.ages[-1] - between[-1]
        edges = np.array([ends[0], *between, ends[1]], dtype=np.float64)
        return np.broadcast_to(edges, (len(self), len(edges)))

    @cached_property
    def _cumulative(self) -> Float[np.ndarray, "N k"]:
        summed = np.cumsum(self.probabilities, axis=1, dtype=np.float64)
        return np.concatenate([np.zeros((len(self), 1)), summed / summed[:, -1:]], axis=1)

    def knots(self) -> Float[np.ndarray, "N k"]:
        return self._edges

    def cumulative(self) -> Float[np.ndarray, "N k"]:
        return self._cumulative

    def take(self, index: RowIndex) -> "Discrete":
        return Discrete(self.ages, self.probabilities[index])

    def own_columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        return {f"p_{age:g}": column for age, column in zip(self.ages, self.probabilities.T, strict=True)}

    def tempered(self, temperature: float) -> "Discrete":
        check_temperature(temperature)
        largest = self.probabilities.max(axis=1, keepdims=True)  # divided by it, no power of a face is 0 at all ages
        powers = (self.probabilities / largest).astype(np.float64) ** (1 / temperature)
        return Discrete(self.ages, powers / powers.sum(axis=1, keepdims=True))

    def mixed_with(self, others: Sequence[Prediction]) -> Prediction | None:
        if not all(isinstance(other, Discrete) and np.array_equal(other.ages, self.ages) for other in others):
            return super().mixed_with(others)
        of_each = np.stack([np.diff(each.cumulative(), axis=1) for each in (self, *others)])  # type: ignore[attr-defined]
        return Discrete(self.ages, of_each.mean(axis=0))


@dataclass(frozen=True)
class Quantiles(Piecewise):
    """Ages in years at ascending levels between 0 and 1, the same for all faces or each with its own.

    What lies beyond the outer levels is put at the outer ages.
    """

    levels: Float[np.ndarray, " Q"] | Float[np.ndarray, "N Q"]
    ages: Float[np.ndarray, "N Q"]

    def knots(self) -> Float[np.ndarray, "N k"]:
        return self.ages

    def cumulative(self) -> Float[np.ndarray, "N k"]:
        return np.broadcast_to(self.levels, self.ages.shape)

    def take(self, index: RowIndex) -> "Quantiles":
        return Quantiles(self.levels if self._share_levels else self.levels[index], self.ages[index])

    def own_columns(self) -> dict[str, Real[np.ndarray, " N"]]:
        if not self._share_levels:
            return {}
        return {f"q_{level:g}": column for level, column in zip(self.levels, self.ages.T, strict=True)}

    @property
    def _share_levels(self) -> bool:
        return self.levels.ndim == 1


def _mean_square(a: Float[np.ndarray, "N k"], b: Float[np.ndarray, "N k"]) -> Float[np.ndarray, "N k"]:
    """Return the mean of the squares of what goes from `a` to `b` along a line."""
    return (a * a + a * b + b * b) / 3


def _left(passed: Integer[np.ndarray, "*G N"], knots: Float[np.ndarray, "N k"]) -> Integer[np.ndarray, "*G N"]:
    """Return the left knot of the segment that follows `passed` knots, or of the one next to it."""
    return np.clip(passed, 1, knots.shape[1] - 1) - 1


def _at(values: Float[np.ndarray, "N k"], column: Integer[np.ndarray, "*G N"]) -> Float[np.ndarray, "*G N"]:
    """Return the values of each face's columns."""
    return values[np.arange(len(values)), column]

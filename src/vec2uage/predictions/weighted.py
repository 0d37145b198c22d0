"""Mixtures whose components weigh differently, and the weights that suit known ages best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Real
from scipy.special import logsumexp

from vec2uage.predictions.base import Ages, Prediction, RowIndex
from vec2uage.predictions.empirical import Empirical
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.piecewise import Piecewise
from vec2uage.predictions.point import Point

_KNOTS = 200  # of a distribution function, at least
_ROWS = 4096  # whose distribution functions are tabulated at once: bounds the memory that it takes
_STEP = 0.05  # years: distribution functions are compared in the middle of such steps
_NEAR = 90.0  # years from the true ages, up to which steps are so short
_FAR_STEPS = 500  # beyond that on either side, each longer than the one before
_FACES = 256  # at a time
_FOLDS = 5
_TOWARDS_EQUAL = 5  # faces: what these say counts for equal weights
_LEAST = 1e-6  # years: what a lower CRPS counts as
_JITTER = 1e-10  # of each score, so that members which say the same can be told apart


@dataclass(frozen=True)
class WeightedMixture(Piecewise):
    """Predictions for the same N faces, each with its weight, which may be another for each face; 1 in sum.

    Its distribution function is exact at the knots of its components and at further ones between them, at least 200 in
    all, and taken as straight between these: off by less than 0.001 where components are normal.
    """

    components: Sequence[Prediction]
    weights: Float[np.ndarray, "M *N"]

    def __len__(self) -> int:
        return len(self.components[0])

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self._average([component.mean for component in self.components])

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        mean = self.mean
        squares = [(component.mean - mean) ** 2 + np.square(component.std) for component in self.components]
        return np.sqrt(self._average(squares))

    def knots(self) -> Float[np.ndarray, "N k"]:
        return self._table[0]

    def cumulative(self) -> Float[np.ndarray, "N k"]:
        return self._table[1]

    @cached_property
    def _table(self) -> tuple[Float[np.ndarray, "N k"], Float[np.ndarray, "N k"]]:
        blocks = [self.take(slice(first, first + _ROWS))._tabulated() for first in range(0, len(self), _ROWS)]
        ages, levels = zip(*(blocks or [self._tabulated()]), strict=True)
        return np.concatenate(ages), np.concatenate(levels)

    def _tabulated(self) -> tuple[Float[np.ndarray, "N k"], Float[np.ndarray, "N k"]]:
        of_each = [component.knots() for component in self.components]
        known = np.sort(np.concatenate(of_each, axis=1), axis=1)
        pieces = -(-_KNOTS // known.shape[1])
        between = known[:, :-1, None] + np.diff(known, axis=1)[..., None] * (np.arange(pieces) / pieces)
        ends = np.concatenate([knots[:, [0, -1]] for knots in of_each], axis=1)  # where it may jump
        inside = np.concatenate([between.reshape(len(known), -1), known[:, -1:]], axis=1)
        ages = np.concatenate([inside, ends], axis=1)
        at = np.concatenate([inside, np.nextafter(ends, -np.inf)], axis=1).T
        levels = self._average(component.cdf(at) for component in self.components).T
        order = np.lexsort((levels, ages), axis=1)
        ages, levels = (np.take_along_axis(values, order, axis=1) for values in (ages, levels))
        return ages, np.maximum.accumulate(levels, axis=1)

    def _average(self, values: Iterable[Real[np.ndarray, "*G N"]]) -> Float[np.ndarray, "*G N"]:
        return np.asarray(sum(weight * value for weight, value in zip(self.weights, values, strict=True)))

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        densities = np.stack([component.log_density(age) for component in self.components], axis=-1)
        return np.asarray(logsumexp(densities, axis=-1, b=self.weights.T))

    def take(self, index: RowIndex) -> "WeightedMixture":
        weights = self.weights if self.weights.ndim == 1 else self.weights[:, index]
        return WeightedMixture([component.take(index) for component in self.components], weights)

    def tempered(self, temperature: float) -> "WeightedMixture":
        return WeightedMixture([component.tempered(temperature) for component in self.components], self.weights)


def mix_weighted(predictions: Sequence[Prediction], weights: Sequence[float] | Float[np.ndarray, " M"]) -> Prediction:
    """Return the mixture of predictions for the same faces with these weights, of one alone itself."""
    return predictions[0] if len(predictions) == 1 else WeightedMixture(predictions, np.array(weights))


def widened(prediction: Prediction, spread: float | Float[np.ndarray, " N"] | None) -> Prediction:
    """Return normal distributions around points with the deviation `spread`, in years; None: the prediction itself."""
    if spread is None:
        return prediction
    return Normal(prediction.mean.astype(np.float64), np.full(len(prediction), spread))


def spread_of(prediction: Prediction, ages: Real[np.ndarray, " N"]) -> float | None:
    """Return the root of the mean squared error of points, in years; None where a prediction has a density.

    Several points of a face, of several networks, tell how much these differ, and not how far they are off.
    """
    if not isinstance(prediction, Point | Empirical):
        return None
    errors = prediction.mean.astype(np.float64) - ages
    return max(float(np.sqrt(np.square(errors).mean())), _STEP)


@dataclass(frozen=True)
class Combination:
    """How much each of M predictions counts, and how wide those of points are made (see `widened`)."""

    weights: Float[np.ndarray, " M"]
    spreads: tuple[float | None, ...]


def combine(predictions: Sequence[Prediction], ages: Real[np.ndarray, " N"], equal: bool) -> Combination:
    """Fit spreads to faces of these ages, and weights unless they are `equal`."""
    spreads = tuple(spread_of(prediction, ages) for prediction in predictions)
    if equal:
        return Combination(equal_weights(len(predictions)), spreads)
    wide = [widened(prediction, spread) for prediction, spread in zip(predictions, spreads, strict=True)]
    return Combination(best_weights(wide, ages), spreads)


def cross_fitted(predictions: Sequence[Prediction], ages: Real[np.ndarray, " N"], equal: bool) -> Prediction:
    """Return the mixture in which each of two or more faces is told by a combination that was fitted without it.

    Faces are taken in turn, by age, into five folds. What is fitted to the faces that it is judged on looks better than
    it is, and would be chosen before models that have not seen them.
    """
    folds = min(_FOLDS, len(ages))
    fold = np.empty(len(ages), dtype=np.int64)
    fold[np.argsort(ages, kind="stable")] = np.arange(len(ages)) % folds
    weights = np.empty((len(predictions), len(ages)))
    spreads = np.empty((len(predictions), len(ages)))
    for each in range(folds):
        others = [prediction.take(fold != each) for prediction in predictions]
        found = combine(others, ages[fold != each], equal)
        weights[:, fold == each] = found.weights[:, None]
        spreads[:, fold == each] = [[np.nan if spread is None else spread] for spread in found.spreads]
    wide = [
        widened(prediction, None if np.isnan(of_each).any() else of_each)
        for prediction, of_each in zip(predictions, spreads, strict=True)
    ]
    return wide[0] if len(wide) == 1 else WeightedMixture(wide, weights)


def equal_weights(members: int) -> Float[np.ndarray, " M"]:
    """Return weights that are the same for all members."""
    return np.full(members, 1 / members)


def best_weights(predictions: Sequence[Prediction], ages: Real[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
    """Return the weights, 0 or above and 1 in sum, whose mixture has the least CRPS for faces of these ages.

    The score is a quadratic form of the weights (Gneiting and Raftery 2007, equation 20), so that there is one best
    mixture of members that differ. To it is added, for the square of the distance from equal weights, what five
    faces are to the score of the best member: weights that are the best for few faces fit to chance.
    """
    from scipy.optimize import nnls

    scores = _cross_scores(predictions, ages)
    best_score = max(scores.diagonal().min(), _LEAST)
    # On weights of sum 1, the square of their own length and of their distance from equal ones differ by a constant.
    penalised = scores + np.diag(_TOWARDS_EQUAL * best_score / len(ages) + _JITTER * scores.diagonal())
    size = np.sqrt(penalised.diagonal())  # of each as 1, or rounding would hide good members beside one far off
    factor = np.linalg.cholesky(penalised / np.outer(size, size))
    # Least squares with a row more, which asks for a sum of 1, has its solution along the best weights (Lawson and
    # Hanson 1974, chapter 23).
    system = np.vstack([factor.T, size.min() / size])
    sized, _ = nnls(system, np.append(np.zeros(len(scores)), 1.0))
    along = sized / size
    return np.asarray(along / along.sum())


def _cross_scores(predictions: Sequence[Prediction], ages: Real[np.ndarray, " N"]) -> Float[np.ndarray, "M M"]:
    """Return the mean over faces of the integral of the product of what two distribution functions are off, in years.

    Off from 0 below the true age, and from 1 from it on: on the diagonal stands the CRPS of each.
    """
    total = np.zeros((len(predictions), len(predictions)))
    for first in range(0, len(ages), _FACES):
        rows = slice(first, first + _FACES)
        some, true = [prediction.take(rows) for prediction in predictions], ages[rows].astype(np.float64)
        knots = [each.knots() for each in some]
        low = min(true.min(), *(each.min() for each in knots))
        high = max(true.max(), *(each.max() for each in knots))
        edges = _edges(low, high, true.min() - _NEAR, true.max() + _NEAR)
        grid = np.broadcast_to((edges[1:, None] + edges[:-1, None]) / 2, (len(edges) - 1, len(true)))
        root = np.sqrt(np.diff(edges))[:, None]
        off = np.stack([((each.cdf(grid) - (grid >= true)) * root).ravel() for each in some])
        total += off @ off.T
    return total / len(ages)


def _edges(low: float, high: float, near_low: float, near_high: float) -> Float[np.ndarray, " k"]:
    """Return where steps from `low` to `high` begin and end: of even length where near, growing beyond.

    One member that is far off, or very unsure, for one face must not make them too long to judge the others by.
    """
    first, last = max(low, near_low), min(high, near_high)
    near = np.linspace(first, last, max(int(np.ceil((last - first) / _STEP)), 1) + 1)
    return np.concatenate([first - _growing(first - low)[::-1], near, last + _growing(high - last)])


def _growing(width: float) -> Float[np.ndarray, " k"]:
    """Return distances up to this width, each a multiple of the one before."""
    return np.geomspace(min(_STEP, width), width, _FAR_STEPS) if width > 0 else np.zeros(0)

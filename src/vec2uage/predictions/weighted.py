"""Mixtures whose components weigh differently, and the weights that suit known ages best."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Real
from scipy.special import logsumexp

from vec2uage.predictions.base import Ages, Prediction, RowIndex
from vec2uage.predictions.mixture import Mixture
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point

_STEP = 0.05  # years: distribution functions are compared in the middle of such steps
_MOST_STEPS = 4000
_FACES = 256  # at a time
_TOWARDS_EQUAL = 5  # faces: as much as these say against unequal weights
_JITTER = 1e-10  # of the largest score, so that members which say the same can be told apart


@dataclass(frozen=True)
class WeightedMixture(Mixture):
    """Predictions for the same N faces, each with its weight; these are above 0, and 1 in sum."""

    weights: Float[np.ndarray, " M"] = field(kw_only=True)

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self._average([component.mean for component in self.components])

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        mean = self.mean
        squares = [(component.mean - mean) ** 2 + np.square(component.std) for component in self.components]
        return np.sqrt(self._average(squares))

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return self._average([component.cdf(age) for component in self.components])

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        densities = np.stack([component.log_density(age) for component in self.components], axis=-1)
        return np.asarray(logsumexp(densities + np.log(self.weights), axis=-1))

    def take(self, index: RowIndex) -> "WeightedMixture":
        return WeightedMixture([component.take(index) for component in self.components], weights=self.weights)

    def tempered(self, temperature: float) -> "WeightedMixture":
        tempered = [component.tempered(temperature) for component in self.components]
        return WeightedMixture(tempered, weights=self.weights)

    def _average(self, values: Sequence[Real[np.ndarray, "*G N"]]) -> Float[np.ndarray, "*G N"]:
        total = np.zeros(np.shape(values[0]))
        for weight, value in zip(self.weights, values, strict=True):
            total = total + weight * value
        return total


def mix_weighted(predictions: Sequence[Prediction], weights: Sequence[float]) -> Prediction:
    """Return the mixture of predictions for the same faces with these weights, of one alone itself."""
    return predictions[0] if len(predictions) == 1 else WeightedMixture(predictions, weights=np.array(weights))


def widened(prediction: Prediction, spread: float | None) -> Prediction:
    """Return normal distributions around points with the deviation `spread`, in years; None: the prediction itself."""
    if spread is None:
        return prediction
    return Normal(prediction.mean.astype(np.float64), np.full(len(prediction), spread))


def spread_of(prediction: Prediction, ages: Real[np.ndarray, " N"]) -> float | None:
    """Return the root of the mean squared error of points, in years; None where a prediction has a spread itself."""
    if not isinstance(prediction, Point):
        return None
    errors = prediction.age.astype(np.float64) - ages
    return max(float(np.sqrt(np.square(errors).mean())), _STEP)


def equal_weights(members: int) -> Float[np.ndarray, " M"]:
    """Return weights that are the same for all members."""
    return np.full(members, 1 / members)


def best_weights(predictions: Sequence[Prediction], ages: Real[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
    """Return the weights, 0 or above and 1 in sum, whose mixture has the least CRPS for faces of these ages.

    The score is a quadratic form of the weights (Gneiting and Raftery 2007, equation 20), so that there is one best
    mixture of members that differ. Five faces' worth of score is added for the square of the distance from equal
    weights: of few faces, the best weights fit to chance (Breiman 1996, "Stacked Regressions").
    """
    from scipy.optimize import nnls

    scores = _cross_scores(predictions, ages)
    mean_score = np.trace(scores) / len(scores)
    penalty = _TOWARDS_EQUAL * mean_score / len(ages) + _JITTER * scores.max()
    # On weights of sum 1, the square of their own length and of their distance from equal ones differ by a constant.
    factor = np.linalg.cholesky(scores + penalty * np.eye(len(scores)))
    # Least squares with a row more, which asks for a sum of 1, has its solution along the best weights (Lawson and
    # Hanson 1974, chapter 23).
    scale = np.sqrt(mean_score + penalty)
    system = np.vstack([factor.T / scale, np.ones(len(scores))])
    along, _ = nnls(system, np.append(np.zeros(len(scores)), 1.0))
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
        steps = int(np.clip(np.ceil((high - low) / _STEP), 1, _MOST_STEPS))
        x = low + (np.arange(steps) + 0.5) * ((high - low) / steps)
        grid = np.broadcast_to(x[:, None], (steps, len(true)))
        off = np.stack([(each.cdf(grid) - (grid >= true)).ravel() for each in some])
        total += off @ off.T * ((high - low) / steps)
    return total / len(ages)

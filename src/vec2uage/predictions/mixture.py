"""Mixtures: what several models, or several samples of one model's weights, say together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from vec2uage.predictions.base import Ages, Prediction, RowIndex, check_level
from vec2uage.predictions.point import Point

_HALVINGS = 60  # of the interval that holds a quantile: below the spacing of float64


def mix(predictions: Sequence[Prediction]) -> Prediction:
    """Return the mixture of one or more predictions for the same faces, each of the same weight.

    It is as simple as it can be: of points their empirical distribution, of probabilities of the same ages the mean
    probabilities, of one prediction itself.
    """
    first, *others = predictions
    if not others:
        return first
    mixed = first.mixed_with(others)
    return Mixture(predictions) if mixed is None else mixed


def pool(predictions: Sequence[Prediction]) -> Prediction:
    """Return what several predictions for the same faces say together: the mean of points, a mixture of the others."""
    if all(isinstance(prediction, Point) for prediction in predictions):
        means = np.column_stack([prediction.mean for prediction in predictions]).mean(axis=1, dtype=np.float64)
        return Point(means.astype(predictions[0].mean.dtype))
    return mix(predictions)


@dataclass(frozen=True)
class Mixture(Prediction):
    """Predictions for the same N faces, each of the same weight."""

    components: Sequence[Prediction]
    _quantiles: dict[float, Float[np.ndarray, " N"]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.components[0])

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return np.stack([component.mean for component in self.components]).mean(axis=0, dtype=np.float64)

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        means, deviations = (np.stack([getattr(c, name) for c in self.components]) for name in ("mean", "std"))
        return np.sqrt(means.var(axis=0, dtype=np.float64) + (deviations**2).mean(axis=0, dtype=np.float64))

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        total = self.components[0].cdf(age)
        for component in self.components[1:]:
            total = total + component.cdf(age)
        return total / len(self.components)

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        densities = [component.log_density(age) for component in self.components]
        return logsumexp(densities, axis=0) - np.log(len(self.components))

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        """Return quantiles by bisection; they are kept, as many metrics ask for the same ones."""
        check_level(q)
        if q not in self._quantiles:
            self._quantiles[q] = self._bisected(q)
        return self._quantiles[q]

    def _bisected(self, q: float) -> Float[np.ndarray, " N"]:
        of_each = np.stack([component.quantile(q) for component in self.components])
        low, high = of_each.min(axis=0), of_each.max(axis=0)  # where no component reaches q, and where all do
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = self.cdf(middle) >= q
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high

    def knots(self) -> Float[np.ndarray, "N k"]:
        return np.sort(np.concatenate([component.knots() for component in self.components], axis=1), axis=1)

    def take(self, index: RowIndex) -> "Mixture":
        return type(self)([component.take(index) for component in self.components])

    def tempered(self, temperature: float) -> "Mixture":
        """Return the mixture of the components, each with this temperature: they differ as much as before."""
        return type(self)([component.tempered(temperature) for component in self.components])

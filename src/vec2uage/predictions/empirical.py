"""What several models say, or samples of one model's weights, where each gives one number a face."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.base import Ages, Prediction, RowIndex, check_level


@dataclass(frozen=True)
class Empirical(Prediction):
    """S ages in years for each face, in any order, of which each is as likely as the others.

    Its median is the middle age, or halfway between the two middle ones; its other quantiles are among the S ages.
    """

    ages: Float[np.ndarray, "N S"]

    def __len__(self) -> int:
        return len(self.ages)

    @cached_property
    def _sorted(self) -> Float[np.ndarray, "N S"]:
        return np.sort(self.ages.astype(np.float64), axis=1)

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        return self.ages.mean(axis=1, dtype=np.float64)

    @property
    def std(self) -> Float[np.ndarray, " N"]:
        return self.ages.std(axis=1, dtype=np.float64)

    @property
    def median(self) -> Float[np.ndarray, " N"]:
        return np.median(self._sorted, axis=1)

    def cdf(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return (self._sorted <= np.asarray(age)[..., None]).mean(axis=-1)

    def log_density(self, age: Ages) -> Float[np.ndarray, "*G N"]:
        return np.where((self._sorted == np.asarray(age)[..., None]).any(axis=-1), np.inf, -np.inf)

    def quantile(self, q: float) -> Float[np.ndarray, " N"]:
        check_level(q)
        samples = self.ages.shape[1]
        return self._sorted[:, np.searchsorted(np.arange(1, samples) / samples, q)]

    def knots(self) -> Float[np.ndarray, "N S"]:
        return self._sorted

    def pit(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return where each face's age ranks among the S: the middle of the one of S + 1 equal spans that it is in.

        With few samples a histogram of it is uneven even where all is calibrated, as its bins hold unequal numbers of
        these spans.
        """
        below, reached = ((compare(self._sorted, age[:, None])).sum(axis=1) for compare in (np.less, np.less_equal))
        return ((below + reached) / 2 + 0.5) / (self.ages.shape[1] + 1)

    def crps(self, age: Real[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the score in its energy form: the mean error, less half the mean distance between two samples."""
        samples = self.ages.shape[1]
        rank = 2 * np.arange(samples) + 1 - samples  # of the sorted ages: the sum of |a - b| over all pairs
        half_distance = (self._sorted * rank).sum(axis=1) / samples**2
        return np.abs(self._sorted - age[:, None]).mean(axis=1) - half_distance

    def take(self, index: RowIndex) -> "Empirical":
        return Empirical(self.ages[index])

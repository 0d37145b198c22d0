"""Distributions of age from weighted faces: what a forest or nearest neighbours say of a face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from vec2uage.predictions.piecewise import Discrete


@dataclass(frozen=True)
class AgeWeights:
    """Training faces by age and weight, on the grid of whole ages from the youngest to the oldest.

    An age between two of the grid belongs to both, to the nearer one more, so that means are kept.
    """

    grid: Float[np.ndarray, " G"]
    lower: Integer[np.ndarray, " n"]
    """The place on the grid at or below each face's age."""
    upper_share: Float[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, age: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> "AgeWeights":
        """Place faces on a grid of at least two ages."""
        first = np.floor(age.min())
        grid = np.arange(first, max(np.ceil(age.max()), first + 1) + 1)
        lower = np.minimum((age - first).astype(np.int64), len(grid) - 2)
        return cls(grid, lower, age - grid[lower], weight)

    def sums(
        self, group: Integer[np.ndarray, "*k"], faces: Integer[np.ndarray, "*k"], share: Float[np.ndarray, "*k"]
    ) -> Float[np.ndarray, "M G"]:
        """Return the weights of each group's faces by age, times a share of each; groups are numbered from 0."""
        size = len(self.grid)
        weight, upper = self.weight[faces] * share, self.upper_share[faces]
        place = group * size + self.lower[faces]
        places = (int(group.max()) + 1) * size
        at = np.bincount(place.ravel(), (weight * (1 - upper)).ravel(), minlength=places)
        above = np.bincount(place.ravel() + 1, (weight * upper).ravel(), minlength=places)
        return (at + above).reshape(-1, size)

    def distribution(self, weights: Float[np.ndarray, "N G"]) -> Discrete:
        """Return what weights on the grid come to, with a rest for ages that no face near has."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        return with_rest(self.grid, shares, len(self.lower))


def with_rest(grid: Float[np.ndarray, " G"], shares: Float[np.ndarray, "N G"], faces: int) -> Discrete:
    """Return the distributions of shares on the grid of so many training faces, with a rest for all ages.

    That is 1 of n + 1 parts for n training faces, the same for all ages, as in Laplace's rule of succession: what has
    not been seen is not impossible, and its log score not infinite.
    """
    return Discrete(grid, (faces * shares + 1 / len(grid)) / (faces + 1))

"""What regressors share: each distinct row once with its weight, and a distribution of age where they have one."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from vec2uage.predictions.base import Prediction


@runtime_checkable
class DistributionRegressor(Protocol):
    """A regressor that says more of a face than one number."""

    def predict_distribution(self, X: Float[np.ndarray, "N D"]) -> Prediction:
        """Return a distribution of age for each of N vectors."""


def distinct_rows(
    x: Float[np.ndarray, "N D"], age: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return each vector of one age once, in the order of the first of its copies, and what it weighs: on average 1.

    Ages are balanced by repeating faces. Where copies count as faces of their own, they cost as much as these, are each
    other's nearest neighbours, fill the leaves of a tree, and come into nearly every bootstrap sample: a weight in
    proportion to their number means the same without that.

    >>> distinct_rows(np.array([[1.0], [2.0], [1.0], [1.0]]), np.array([5.0, 9.0, 5.0, 5.0]))[2]
    array([1.5, 0.5])
    """
    first: dict[bytes, int] = {}
    keys = np.column_stack([x, age])
    found = np.array([first.setdefault(row.tobytes(), position) for position, row in enumerate(keys)])
    rows, copies = np.unique(found, return_counts=True)
    return x[rows], age[rows], copies * (len(rows) / len(x))

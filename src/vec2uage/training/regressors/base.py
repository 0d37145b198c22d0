"""What regressors share: each distinct row once with its weight, and a distribution of age where they have one.

Ages are balanced by repeating faces. Where copies count as faces of their own, they cost as much as these, are each
other's nearest neighbours, fill the leaves of a tree, and come into nearly every bootstrap sample. A weight in
proportion to their number means the same without that.
"""

import hashlib
import inspect
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Integer, Real

from vec2uage.predictions.base import Prediction


@runtime_checkable
class DistributionRegressor(Protocol):
    """A regressor that says more of a face than one number."""

    def predict_distribution(self, X: Float[np.ndarray, "N D"]) -> Prediction:
        """Return a distribution of age for each of N vectors."""


@runtime_checkable
class Sizable(Protocol):
    """A regressor that takes much memory to be fitted, and knows how much."""

    def fit_bytes(self, rows: int) -> int:
        """Return the bytes that fitting it to so many rows takes beside them."""


def takes_weights(regressor: Any) -> bool:
    """Tell whether rows of a class of regressors, or of one regressor, can count by weights."""
    return "sample_weight" in inspect.signature(regressor.fit).parameters


@dataclass(frozen=True)
class DistinctRows:
    """Which rows are copies of others: each different one once, in the order of the first of its copies."""

    rows: Integer[np.ndarray, " n"]
    """The places of the first copies among all rows."""
    of_row: Integer[np.ndarray, " N"]
    """The place of each row among the distinct ones."""

    @classmethod
    def of(cls, *columns: Real[np.ndarray, "N ..."]) -> "DistinctRows":
        """Compare rows that are equal in all columns, bit for bit.

        >>> DistinctRows.of(np.array([[1.0], [2.0], [1.0], [1.0]]), np.array([5.0, 9.0, 5.0, 6.0])).rows
        array([0, 1, 3])
        """
        first: dict[bytes, int] = {}
        of_row: list[int] = []
        rows: list[int] = []
        for row, values in enumerate(zip(*columns, strict=True)):
            key = hashlib.sha256(b"".join(value.tobytes() for value in values)).digest()  # in less memory than the row
            if key not in first:
                first[key] = len(rows)
                rows.append(row)
            of_row.append(first[key])
        return cls(np.array(rows, dtype=np.int64), np.array(of_row, dtype=np.int64))

    def total(self, weight: Float[np.ndarray, " N"] | None) -> Float[np.ndarray, " n"]:
        """Return what the copies of each distinct row weigh together: as many as there are without weights."""
        return np.bincount(self.of_row, weight, minlength=len(self.rows)).astype(np.float64)


def relative(weight: Float[np.ndarray, " n"] | None, rows: int) -> Float[np.ndarray, " n"]:
    """Return the weights of so many rows in the mean 1; None: all weigh the same.

    >>> relative(np.array([3.0, 1.0]), 2)
    array([1.5, 0.5])
    """
    return np.ones(rows) if weight is None else weight * (rows / weight.sum())

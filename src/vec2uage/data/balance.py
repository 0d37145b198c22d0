"""What is done to the training rows before training: nothing, or what lets every age count the same."""

from dataclasses import replace
from typing import Annotated

import numpy as np
from jaxtyping import Float32, Integer
from pydantic import Field

from vec2uage.base.seeds import numpy_generator
from vec2uage.config.settings import settings
from vec2uage.data.vectorset import VectorSet, needed_ages

REPEAT = "#repeat"  # stands before the number of a repeated row, in its name


def in_turn(floors: Integer[np.ndarray, " N"], age: int, seed: int) -> Integer[np.ndarray, " M"]:
    """Return the rows of a whole age in the order in which they are used to fill it, each once."""
    return numpy_generator(seed, "balance", str(age)).permutation(np.flatnonzero(floors == age))


@settings
class NoAugmentation:
    """Leaves the training rows as they are."""

    def apply(self, train: VectorSet) -> VectorSet:
        """Return `train`."""
        return train


@settings
class AgeWeights:
    """Leaves the training rows as they are, and lets those of every whole age count the same by weights.

    The mean of a loss is what it is over rows that are repeated (`Balance`), from one pass over each row.
    """

    def apply(self, train: VectorSet) -> VectorSet:
        """Return `train`."""
        return train

    def weights(self, train: VectorSet) -> Float32[np.ndarray, " N"]:
        """Return what each row counts for, in the mean 1: the rarer its age the more."""
        floors = np.floor(needed_ages(train, "augmentation=weights"))
        _, age, rows = np.unique(floors, return_inverse=True, return_counts=True)
        return (len(train) / (len(rows) * rows[age])).astype(np.float32)


@settings
class Balance:
    """Draws exactly `train_per_age` rows of every whole age that the training rows have (paper: 5,000)."""

    train_per_age: Annotated[int, Field(gt=0)]
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Length of the Gaussian noise added to each repeated vector, relative to the vector's own length (its
    standard deviation per element is `noise * |v| / sqrt(D)`)."""
    seed: Annotated[int, Field(ge=0)] = 0

    def apply(self, train: VectorSet) -> VectorSet:
        """Return a random subset of an age with more rows, and all rows and random repeats of one with fewer.

        Rows of an age are used equally often, give or take one. Repeats follow the originals and are named
        "<name>#repeat1", "<name>#repeat2", ...
        """
        floors = np.floor(needed_ages(train, "augmentation=balance")).astype(np.int64)
        drawn, copies = [], []
        for age in np.unique(floors).tolist():
            rows = in_turn(floors, age, self.seed)
            drawn.append(np.resize(rows, self.train_per_age))  # cycles through rows
            copies.append(np.arange(self.train_per_age) // len(rows))
        row, copy = np.concatenate(drawn), np.concatenate(copies)
        order = np.lexsort((row, copy))
        row, copy = row[order], copy[order]

        balanced = train.take(row)
        repeated = copy > 0
        names = [f"{name}{REPEAT}{k}" if k else name for name, k in zip(balanced.names, copy, strict=True)]
        vectors = balanced.vectors
        if self.noise and repeated.any():
            vectors[repeated] += self._noise_for(vectors[repeated])
        return replace(balanced, vectors=vectors, names=np.array(names, dtype=object))

    def _noise_for(self, vectors: np.ndarray) -> np.ndarray:
        generator = numpy_generator(self.seed, "balance", "noise")
        scale = self.noise * np.linalg.norm(vectors, axis=1, keepdims=True) / np.sqrt(vectors.shape[1])
        return (generator.standard_normal(vectors.shape, dtype=np.float32) * scale).astype(np.float32)

"""What networks see: the faces of one part of a split with their ages, and the order in which each run sees them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from vec2uage.base.cores import threads
from vec2uage.training.regressors.base import DistinctRows

_BLOCK = 4096  # rows that are squared at a time
# The faces of K runs, their ages in years, and what each counts for in the mean of a loss.
Batch = tuple[Float[Tensor, "K B ..."], Float[Tensor, "K B"], Float[Tensor, "K B"]]


@runtime_checkable
class Inputs(Protocol):
    """The faces of a part, wherever they lie; ages are `[N] float32`, in years."""

    @property
    def age(self) -> Float[Tensor, " N"]: ...

    @property
    def weight(self) -> Float[Tensor, " N"] | None:
        """What each face counts for, in the mean 1; None: every face counts the same."""

    def root_mean_square(self) -> float:
        """Return that of all numbers of all faces."""

    def __len__(self) -> int: ...

    def gather(self, index: Int[Tensor, "K B"]) -> Batch:
        """Fetch each run's own batch."""

    def blocks(self, rows: int) -> Iterator[Float[Tensor, "_ ..."]]:
        """Yield all faces in their order, so many at a time."""


class LabelledInputs(ABC):
    """What inputs have alike that keep the ages and weights of their faces as columns: all but the faces."""

    age: Float[Tensor, " N"]
    weight: Float[Tensor, " N"] | None

    def __len__(self) -> int:
        return len(self.age)

    @abstractmethod
    def blocks(self, rows: int) -> Iterator[Float[Tensor, "_ ..."]]: ...

    def root_mean_square(self) -> float:
        return self._root_mean_square

    @cached_property
    def _root_mean_square(self) -> float:
        return root_mean_square(self.blocks(_BLOCK))

    def labels(self, index: Int[Tensor, "K B"]) -> tuple[Float[Tensor, "K B"], Float[Tensor, "K B"]]:
        """Return the ages and the weights of a batch."""
        flat = index.reshape(-1)
        age = self.age.index_select(0, flat).view(index.shape)
        weight = torch.ones_like(age) if self.weight is None else self.weight.index_select(0, flat).view(index.shape)
        return age, weight


@dataclass(frozen=True)
class VectorInputs(LabelledInputs):
    """Vectors `[N, D] float32`, normalised and resident in the memory of a device."""

    x: Float[Tensor, "N D"]
    age: Float[Tensor, " N"]
    weight: Float[Tensor, " N"] | None = None
    """Of mean 1; None: every face counts the same."""

    @cached_property
    def distinct(self) -> DistinctRows:
        """Which faces are there once, and which of these each row is: the same vector, of the same age."""
        return DistinctRows.of(self.x.cpu().numpy(), self.age.cpu().numpy())

    def first(self, rows: int) -> "VectorInputs":
        """Return the first `rows` faces."""
        return self._of_columns(lambda column: column[:rows])

    def to(self, device: torch.device) -> "VectorInputs":
        """Return the same faces on a device."""
        return self._of_columns(lambda column: column.to(device))

    def gather(self, index: Int[Tensor, "K B"]) -> Batch:
        return self.x.index_select(0, index.reshape(-1)).view(*index.shape, -1), *self.labels(index)

    def blocks(self, rows: int) -> Iterator[Float[Tensor, "_ D"]]:
        return iter(self.x.split(rows))

    def _of_columns(self, change: Callable[[Tensor], Tensor]) -> "VectorInputs":
        return VectorInputs(change(self.x), change(self.age), None if self.weight is None else change(self.weight))


def root_mean_square(blocks: Iterable[Float[Tensor, "_ ..."]]) -> float:
    """Return that of all numbers of all blocks."""
    with threads(1):  # as the bits of a sum can depend on how many there are
        squares = [(block.double().square().sum().item(), block.numel()) for block in blocks]
    total, numbers = map(sum, zip(*squares, strict=True))
    return float((total / numbers) ** 0.5)


def weights_of(inputs: Inputs) -> Float64[np.ndarray, " N"] | None:
    """Return what each face counts for, for scores; None: all the same."""
    return None if inputs.weight is None else inputs.weight.double().cpu().numpy()


def epoch_order(generators: Sequence[torch.Generator], rows: int) -> Int[Tensor, "K N"]:
    """Draw a permutation of `rows` for each run from that run's own generator."""
    return torch.stack([torch.randperm(rows, generator=g) for g in generators])


def batches(order: Int[Tensor, "K N"], batch_size: int) -> Iterator[Int[Tensor, "K B"]]:
    """Cut an epoch's order into batches; the last one holds what is left."""
    return iter(order.split(batch_size, dim=1))

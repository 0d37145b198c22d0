"""Rows of vectors and ages, and the order in which each run sees its training rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Vectors `[N, D] float32` and ages `[N] float32` (years) of one side of a split."""

    x: Float[Tensor, "N D"]
    age: Float[Tensor, " N"]

    def __len__(self) -> int:
        return len(self.age)

    def head(self, rows: int) -> "Rows":
        """Return the first `rows` rows."""
        return Rows(self.x[:rows], self.age[:rows])

    def gather(self, index: Int[Tensor, "K B"]) -> tuple[Float[Tensor, "K B D"], Float[Tensor, "K B"]]:
        """Fetch each run's own batch."""
        flat = index.reshape(-1)
        return self.x.index_select(0, flat).view(*index.shape, -1), self.age.index_select(0, flat).view(index.shape)


def epoch_order(generators: Sequence[torch.Generator], rows: int) -> Int[Tensor, "K N"]:
    """Draw a permutation of `rows` for each run from that run's own generator."""
    return torch.stack([torch.randperm(rows, generator=g) for g in generators])


def batches(order: Int[Tensor, "K N"], batch_size: int) -> Iterator[Int[Tensor, "K B"]]:
    """Cut an epoch's order into batches; the last one holds what is left."""
    return iter(order.split(batch_size, dim=1))

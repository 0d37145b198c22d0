"""What an embedder is: it prepares crops where they are cut, and turns batches of them into vectors elsewhere."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, UInt8

from vec2uage.config.settings import settings

Embed = Callable[[Float32[np.ndarray, "B ..."]], Float32[np.ndarray, "B D"]]
"""Turns prepared crops into vectors. A row's vector is the same, bit for bit, whatever the other rows and however many
they are, on one machine with one number of threads."""


@settings
class Embedder(ABC):
    """Settings of a network that turns a face into a vector."""

    input_shape: ClassVar[tuple[int, ...]]
    """Shape of one prepared crop."""
    batch_size: ClassVar[int]
    """Rows that one call takes best; calls with fewer cost as much, calls with more are cut."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Numbers per vector."""

    @abstractmethod
    def prepare(self, crop: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "..."]:
        """Make of an RGB crop what the network takes, of `input_shape`, without loading the network.

        Raises Refused where the crop cannot be used.
        """

    @abstractmethod
    def open(self, device: str) -> Embed:
        """Load the network to `device`: `cpu`, `cuda`, `cuda:<number>` or `auto` (CUDA where there is one)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Name weights and every setting that changes vectors, as in `VectorSet.encoder`; UserError without weights."""

    def stored_as(self) -> tuple[str, ...]:
        """Return the names under which the store may have this embedder's vectors; new ones have the first."""
        return (self.fingerprint(),)

"""An embedder that does nothing, so that only what comes before it is timed; worker processes import it from here."""

from typing import ClassVar

import numpy as np

from vec2uage.config.settings import settings
from vec2uage.faces.embedders.base import Embed, Embedder


@settings
class NoEmbedder(Embedder):
    """Returns one 1 for every face."""

    dimension: ClassVar[int] = 1
    input_shape: ClassVar[tuple[int, ...]] = (1,)
    batch_size: ClassVar[int] = 64

    def prepare(self, crop: np.ndarray) -> np.ndarray:
        return np.ones(1, dtype=np.float32)

    def open(self, device: str) -> Embed:
        return lambda prepared: prepared

    def fingerprint(self) -> str:
        return "none"

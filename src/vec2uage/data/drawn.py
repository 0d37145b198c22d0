"""How rows came to be whose faces nobody photographed: drawn of the crops of others, and as often again as wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class Drawn:
    """How the crop of a row is drawn of that of another one."""

    parent: str
    """The name of the row whose crop it is drawn of."""
    made_by: str
    """Names all that decides what is drawn, but for that crop."""
    draw: Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "H W 3"]]


@runtime_checkable
class Drawing(Protocol):
    """An augmentation that trains on faces which were drawn."""

    def drawn(self) -> Mapping[str, Drawn]:
        """Return its drawn rows by name; UserError where they cannot be drawn again as they were."""

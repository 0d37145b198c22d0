"""Where results are kept and what computes them: options that no augmented face or vector depends on."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal, Protocol, runtime_checkable

from vec2uage.faces.pool import processes


@runtime_checkable
class ExecutionOptions(Protocol):
    """Settings of a command that computes vectors of faces."""

    @property
    def store(self) -> str: ...
    @property
    def workers(self) -> int | Literal["auto"]: ...
    @property
    def device(self) -> str: ...


@dataclass(frozen=True)
class Execution:
    """What computes vectors, and where it keeps them."""

    store: Path
    workers: int
    """Processes."""
    device: str
    stop: Event
    """Set when the user wants to stop; what is computed until then stays in the store."""

    @staticmethod
    def of(options: ExecutionOptions, stop: Event) -> "Execution":
        """Return what the options of a command mean."""
        return Execution(Path(options.store), processes(options.workers), options.device, stop)

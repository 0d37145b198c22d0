"""The settings of `vec2uage.report`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

Format = Literal["png", "svg", "pdf"]


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True)
class ReportSettings:
    """Which sweeps are reported on, and how."""

    sweep: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_as_list)]
    by: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)]
    formats: tuple[Format, ...]
    resamples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0)]
    tensorboard: bool

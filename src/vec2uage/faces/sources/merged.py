"""Several sources as one."""

from collections import Counter
from typing import Annotated

from pydantic import Field, field_validator

from vec2uage.config.component import frozen
from vec2uage.config.settings import settings
from vec2uage.faces.sources.base import SingleSource, Source


@settings
class Merged(Source):
    """Several sources, each with its own filters; a mapping in YAML."""

    parts: Annotated[tuple[tuple[str, SingleSource], ...], Field(min_length=1)]

    def sources(self) -> tuple[SingleSource, ...]:
        return tuple(part for _, part in self.parts)

    _pairs = field_validator("parts", mode="before")(frozen)

    @field_validator("parts")
    @classmethod
    def _distinct(cls, value: tuple[tuple[str, SingleSource], ...]) -> tuple[tuple[str, SingleSource], ...]:
        names = Counter(part.name for _, part in value if part.name is not None)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"two parts have the name {twice[0]!r}; give one another name")
        return value

"""The decorator behind every settings class: a frozen, keyword-only dataclass that checks its own values."""

from typing import TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[T]) -> type[T]:
    """Turn `cls` into a pydantic dataclass: hashable, comparable, unknown or ill-typed fields refused."""
    return cast(type[T], dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))(cls))

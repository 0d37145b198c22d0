"""The decorator behind settings classes, what an option's annotation can say, and which options change no number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import pydantic
from pydantic import ConfigDict, Field

T = TypeVar("T")

EXECUTION_OPTIONS = (
    "access",
    "overwrite",
    "trust_code",
    "resume",
    "plan",
    "trainer.threads",
    "trainer.stack_size",
    "trainer.calibrate",
    "trainer.checkpoint_every",
)
"""Options that say how to run, not what: they change no number, and so belong neither to the name of a folder, nor to
the hash of a run's configuration, nor to what sets runs apart in tables."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[T]) -> type[T]:
    """Turn `cls` into a pydantic dataclass: hashable, comparable, unknown or ill-typed fields refused."""
    make = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
    return cast(type[T], make(cls))


@dataclass(frozen=True)
class CheckedBy:
    """In an annotation: the function that makes an option's value, where its type alone does not say what is allowed.

    It is called with what was given, the option's key, and the list to which it appends what is wrong.
    """

    check: Callable[[Any, str, list[str]], Any]


@dataclass(frozen=True)
class OfGroup:
    """In an annotation: the option is a config group, whose `_target_` names a settings class of the annotated type."""


Choice = Annotated[T, OfGroup()]
"""`detector: Choice[Detector]` is a config group of settings classes derived from `Detector`."""

PositiveInt = Annotated[int, Field(ge=1)]

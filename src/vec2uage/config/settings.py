"""The decorator behind every settings class: a frozen, keyword-only dataclass that checks its own values.

And the options that are about no class's values, but about how a command runs.
"""

from typing import TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

T = TypeVar("T")

# Options that say how to run, not what: they change no number, and so belong neither to the name of a folder, nor to
# the hash of a run's configuration, nor to what sets runs apart in tables.
EXECUTION_OPTIONS = (
    "overwrite",
    "resume",
    "plan",
    "trainer.threads",
    "trainer.stack_size",
    "trainer.calibrate",
    "trainer.checkpoint_every",
)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[T]) -> type[T]:
    """Turn `cls` into a pydantic dataclass: hashable, comparable, unknown or ill-typed fields refused."""
    return cast(type[T], dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))(cls))

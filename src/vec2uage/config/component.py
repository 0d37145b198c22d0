"""A `_target_` with its arguments: named by configuration, checked before work starts, built when needed."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Component:
    """A class or function by its dotted name, and the options to call it with; hashable and comparable."""

    target: str
    options: tuple[tuple[str, Any], ...] = ()

    def build(self, *args: Any, **extra: Any) -> Any:
        """Call the target; `extra` is what only the caller knows (`in_features`, parameters)."""
        return locate(self.target)(*args, **{name: _thawed(value) for name, value in self.options} | extra)

    def accepts(self, name: str) -> bool:
        """Tell whether the target takes the keyword `name`."""
        return name in inspect.signature(locate(self.target)).parameters


def locate(target: str) -> Callable[..., Any]:
    """Import the object that a dotted name such as `torch.optim.RMSprop` stands for.

    Raises LookupError with the reason when a part of the name does not exist.
    """
    parts = target.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name + ".").startswith(error.name + "."):
                continue
            raise LookupError(f"importing {name} failed: {error}") from error
        for attribute in parts[end:]:
            if not hasattr(found, attribute):
                raise LookupError(f"{name} has no {attribute!r}")
            found = getattr(found, attribute)
        if not callable(found):
            raise LookupError(f"{target} is no class or function")
        return found
    raise LookupError(f"no module named {parts[0]!r} can be imported (is its folder on PYTHONPATH?)")


class FrozenMapping(tuple[tuple[Any, Any], ...]):
    """A mapping that can be hashed: its items, sorted by key."""


def frozen(value: Any) -> Any:
    """Turn lists into tuples and mappings into `FrozenMapping`, so that options can be hashed."""
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return FrozenMapping(sorted((key, frozen(item)) for key, item in value.items()))
    return value


def _thawed(value: Any) -> Any:
    """Turn `FrozenMapping` back into mappings; lists stay tuples."""
    if isinstance(value, FrozenMapping):
        return {key: _thawed(item) for key, item in value}
    return tuple(_thawed(item) for item in value) if isinstance(value, tuple) else value

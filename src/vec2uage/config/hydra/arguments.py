"""Arguments as people type them, rewritten so that Hydra reads what was meant."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError


def gather_repeated(key: str, arguments: Sequence[str]) -> list[str]:
    """Put all `key=value` arguments into one list, quoted, where Hydra would take the last one alone.

    Values are paths as shells complete them: Hydra could not read a bare = or , in them. Where one is a list already,
    nothing changes; what is in quotes stays as it is.
    """
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{key}=")]
    if not given or any(value[:1] in ("[", "$", "") for value in given):
        return list(arguments)
    others = [argument for argument in arguments if not argument.startswith(f"{key}=")]
    items = [value if value[0] in "'\"" else quoted(value) for value in given]
    return [*others, f"{key}=[{','.join(items)}]"]


def quote_paths(arguments: Sequence[str]) -> list[str]:
    """Quote the values of `key=value` arguments that are paths, where Hydra could not read a bare = or , in them.

    A name without / or = is none: `seed=1,2` is a sweep, whatever files there are. So is a sweep over paths, each of
    which is quoted. Flags are not Hydra's to parse.
    """

    def with_quotes(argument: str) -> str:
        key, _, value = argument.partition("=")
        may_be_path = not argument.startswith("-") and ("/" in value or "=" in value)
        needs_quotes = re.fullmatch(r"[\w./-]*", value) is None
        paths = _existing(value.split(",")) if may_be_path and needs_quotes else None
        return f"{key}={','.join(map(quoted, paths))}" if paths else argument

    return list(map(with_quotes, arguments))


def _existing(parts: Sequence[str]) -> list[str] | None:
    """Join the parts of a text cut at its commas to the fewest paths that exist; None where they are no paths."""
    for end in range(len(parts), 0, -1):
        first = ",".join(parts[:end])
        if os.path.exists(first):  # noqa: PTH110 - that of Path raises where a name is too long
            others = _existing(parts[end:]) if end < len(parts) else []
            if others is not None:
                return [first, *others]
    return None


def quoted(value: str) -> str:
    """Return a value as Hydra reads it literally."""
    # in quotes, Hydra takes a backslash for itself only where a quote follows
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", r"\'"), value) + "'"


def compose_and_call(entry: Callable[[], Any]) -> None:
    """Call a Hydra entry point, once more where an option has to be left to the jobs of a multirun."""
    first: Exception | None = None
    while True:
        try:
            return entry()
        except Exception as error:
            if not any(a in ("-m", "--multirun") or a.startswith("experiment=") for a in sys.argv[1:]):
                raise
            if first is not None and "requires --multirun" in str(error):
                raise first from first.__cause__  # which tells what the option was
            first = first or error
            arguments = leave_to_jobs(sys.argv[1:], _unknown_key(error))
            if arguments == sys.argv[1:]:
                raise
            sys.argv[1:] = arguments


def _unknown_key(error: Exception) -> str:
    """Return the option that a configuration turned out not to have; "" for any other error."""
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return str(cause.full_key or cause.key)
    return ""


def leave_to_jobs(arguments: Sequence[str], key: str) -> list[str]:
    """Leave it to the jobs of a multirun to set an option, `key` or all below it, that only some choices have.

    Hydra gives it to the default choice first, and refuses `optimizer=sgd,swa optimizer.momentum=0.9` as adam has no
    momentum. As a sweep of one value it is given to the jobs alone. What cannot be one stays as it is.
    """
    parser = OverridesParser.create()

    def parsed(argument: str) -> Override | None:
        try:
            return parser.parse_override(argument)
        except HydraException:
            return None

    def left(argument: str) -> str:
        own, _, value = argument.partition("=")
        if own != key and not own.startswith(f"{key}."):
            return argument
        before, after = parsed(argument), parsed(f"{own}=choice({value})")
        if before is None or before.is_sweep_override() or after is None:
            return argument
        of_job = parsed(f"{own}={next(after.sweep_string_iterator())}")  # in which Hydra loses the quotes of a '5'
        same = of_job is not None and of_job.value() == before.value()
        return str(after.input_line) if same else argument

    return list(map(left, arguments))

"""Arguments as they are typed, and as Hydra reads them."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def option(key: str, value: object) -> str:
    """Return `key=value` as one types it in a shell; Hydra takes = and , in a bare value for its own."""
    text = str(value)
    return shlex.quote(f"{key}={text}" if re.fullmatch(r"[\w./-]+", text) else f"{key}='{text}'")


def gathered(key: str, arguments: Sequence[str]) -> list[str]:
    """Put all `key=value` arguments into one list, quoted, where Hydra would take the last one alone.

    Values are paths as shells complete them: Hydra could not read a bare = or , in them. Lists and quoted values stay.
    """
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{key}=")]
    if not given or any(value[:1] in ("[", "'", '"', "$", "") for value in given):
        return list(arguments)
    others = [argument for argument in arguments if not argument.startswith(f"{key}=")]
    return [*others, f"{key}=[{','.join(map(quoted, given))}]"]


def with_paths(arguments: Sequence[str]) -> list[str]:
    """Quote the values of `key=value` arguments that are paths, where Hydra could not read a bare = or , in them.

    A name without / or = is none: `seed=1,2` is a sweep, whatever files there are. Flags are not Hydra's to parse.
    """

    def is_path(argument: str, value: str) -> bool:
        looks = not argument.startswith("-") and ("/" in value or "=" in value) and not re.fullmatch(r"[\w./-]*", value)
        return looks and os.path.exists(value)  # noqa: PTH110 - that of Path raises where a name is too long

    return [
        f"{key}={quoted(value)}" if is_path(argument, value) else argument
        for argument in arguments
        for key, _, value in [argument.partition("=")]
    ]


def quoted(value: str) -> str:
    """Return a value as Hydra reads it literally."""
    # in quotes, Hydra takes a backslash for itself only where a quote follows
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", r"\'"), value) + "'"


def deferred(arguments: Sequence[str], conf: Path) -> list[str]:
    """Let the jobs of a multirun have the options of groups from each job's own choice, where a group is swept.

    Hydra would give them to the default choice first, and refuse `optimizer=sgd,swa optimizer.momentum=0.9` as adam has
    no momentum. As a sweep of one value they are left to the jobs. `conf` holds a folder for every group.
    """
    if not {"-m", "--multirun"} & set(arguments) and not any(_is_grid(argument, conf) for argument in arguments):
        return list(arguments)
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()

    def parsed(argument: str) -> "Override | None":
        try:
            return parser.parse_override(argument)
        except HydraException:  # a flag, or for Hydra to refuse
            return None

    def sweeps_group(argument: str) -> bool:
        override = parsed(argument)
        return override is not None and override.is_sweep_override() and (conf / override.key_or_group).is_dir()

    def left_to_jobs(argument: str) -> str:
        key, _, value = argument.partition("=")
        group, dot, _ = key.partition(".")
        before, after = parsed(argument), parsed(f"{key}=choice({value})")
        of_group = dot and group != "hydra" and (conf / group).is_dir()
        if not of_group or before is None or before.is_sweep_override() or after is None:
            return argument
        of_job = parsed(f"{key}={next(after.sweep_string_iterator())}")  # in which Hydra loses the quotes of a '5'
        same = of_job is not None and of_job.value() == before.value()
        return str(after.input_line) if same else argument

    return list(map(left_to_jobs, arguments)) if any(map(sweeps_group, arguments)) else list(arguments)


def _is_grid(argument: str, conf: Path) -> bool:
    """Tell whether an argument chooses an experiment that is a multirun without `-m`."""
    key, _, value = argument.partition("=")
    file = conf / key / f"{value}.yaml"
    return key == "experiment" and file.is_file() and "mode: MULTIRUN" in file.read_text(encoding="utf-8")

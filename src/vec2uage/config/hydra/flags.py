"""The flags of a command line, such as `-m`: taken wherever they are typed, and refused where they mean nothing."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from vec2uage.base.errors import UserError

if sys.version_info >= (3, 14):
    # It refuses a help that is no text yet, as Hydra 1.3 has one, and with it every command.
    argparse.ArgumentParser._check_help = lambda self, action: None  # type: ignore[attr-defined]


def flags_last(arguments: Sequence[str]) -> list[str]:
    """Put the flags behind the options: Hydra refuses options that stand on both sides of a flag.

    Raises UserError for a flag that does not exist, lacks its value or has no use, for an option typed with dashes, and
    for the flag that runs whatever a file says.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # its own prints a usage of many lines
    known = {name for action in parser._actions for name in action.option_strings}
    for argument in arguments:
        name, has_value, value = argument.partition("=")
        if name.startswith("-") and has_value and name not in known:
            raise UserError(f"{argument}: options are set without dashes: {name.lstrip('-')}={value}")
        if has_value and not name:
            raise UserError(f"{argument}: options are set as key=value (--help shows them)")
    parsed, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        _refuse(f"{unknown[0]}: no such flag")
    if parsed.experimental_rerun is not None:
        raise UserError(
            f"--experimental-rerun {parsed.experimental_rerun}: not taken, as it would run whatever that file says: "
            "type the options again"
        )
    if parsed.package is not None and parsed.cfg is None:
        raise UserError(f"--package {parsed.package}: says what --cfg shows, and has no use without it")
    options = list(parsed.overrides)
    flags = []
    for argument in arguments:
        if options[:1] == [argument]:
            options.pop(0)
        else:
            flags.append(argument)
    return [*parsed.overrides, *flags]


def _refuse(message: str) -> NoReturn:
    raise UserError(f"{message} (--hydra-help shows all flags; options are set as key=value, without dashes)")

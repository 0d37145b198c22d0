"""Arguments whose meaning shows only once they are composed: these are rewritten, and the command is called again."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import ConfigCompositionException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from vec2uage.base.errors import UserError
from vec2uage.config.error_messages import is_text_problem
from vec2uage.config.hydra.arguments import as_text, parsed


class ReadAgain(BaseException):
    """The command is to be called again, with other arguments; no Exception, as Hydra would print a line about it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__()
        self.arguments = list(arguments)


def with_texts(arguments: Sequence[str], error: Exception) -> list[str]:
    """Quote the values that were refused for being numbers or truth values where only a text will do."""
    problems = error.problems or [str(error)] if isinstance(error, UserError) else []

    def is_refused(argument: str) -> bool:
        key = argument.lstrip("+").partition("=")[0]
        return any(is_text_problem(problem, key) for problem in problems)

    return [as_text(argument) if is_refused(argument) else argument for argument in arguments]


def compose_and_call(entry: Callable[[], Any]) -> None:
    """Call a Hydra entry point, once more where an option is meant as text or has to be left to a multirun's jobs."""
    first: Exception | None = None
    while True:
        try:
            return entry()
        except ReadAgain as again:
            sys.argv[1:] = again.arguments
        except Exception as error:
            if first is not None and "requires --multirun" in str(error):
                raise first from first.__cause__  # which tells what the option was
            first = first or error
            arguments = with_texts(sys.argv[1:], error)
            if any(a in ("-m", "--multirun") or a.startswith("experiment=") for a in arguments):
                arguments = leave_to_jobs(arguments, _unknown_key(error))
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

    def left(argument: str) -> str:
        own, _, value = argument.partition("=")
        if own.startswith("hydra."):  # which is of the sweep as a whole
            return argument
        if own != key and not own.startswith(f"{key}."):
            return argument
        before, after = parsed(argument), parsed(f"{own}=choice({value})")
        if before is None or before.is_sweep_override() or after is None:
            return argument
        of_job = parsed(f"{own}={next(after.sweep_string_iterator())}")  # in which Hydra loses the quotes of a '5'
        same = of_job is not None and of_job.value() == before.value()
        return str(after.input_line) if same else argument

    return list(map(left, arguments))

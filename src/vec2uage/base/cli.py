"""How a command ends: one sentence for the user's errors, a traceback only for our own, an exit code that tells."""

import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from vec2uage.base.arguments import left_to_jobs, with_paths
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy, only_user_of

INTERRUPTED = 130  # what shells expect of a program ended by Ctrl-C

# As the user set it; `run` sets it for Hydra, which then hands exceptions on instead of printing its own traceback.
_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"

_users_own: set[Path] = set()  # folders that the arguments name and that were there before
_typed: list[str] = []
_codes: list[int] = []  # of the jobs of a sweep that have ended

log = logging.getLogger(__name__)


def run(entry: Callable[[], Any]) -> None:
    """Call a Hydra entry point; end with exit code 1 and one sentence where the user can mend what went wrong."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _typed[:] = sys.argv[1:]
    values = [argument.partition("=")[2].strip("'\"") for argument in sys.argv[1:]]
    folders = [value for value in values if value and os.path.isdir(value)]  # noqa: PTH112 - that of Path may raise
    _users_own.update(Path(folder).resolve() for folder in folders)
    sys.argv[1:] = with_paths(sys.argv[1:])
    _codes.clear()
    try:
        _compose_and_call(entry)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read our output (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        end(error)
    if any(_codes):
        sys.exit(max(_codes))


def _compose_and_call(entry: Callable[[], Any]) -> None:
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
            arguments = left_to_jobs(sys.argv[1:], _unknown_key(error))
            if arguments == sys.argv[1:]:
                raise
            sys.argv[1:] = arguments


def _unknown_key(error: Exception) -> str:
    """Return the option that a configuration turned out not to have; "" for any other error."""
    from hydra.errors import ConfigCompositionException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return str(cause.full_key or cause.key)
    return ""


def typed() -> list[str]:
    """Return the arguments of the command line as they were typed."""
    return list(_typed)


def run_job(command: Callable[[Any], int], cfg: Any) -> None:
    """Run a command on its composed configuration and end the program with the exit code that it returns.

    In a job of a sweep nothing ends but by Ctrl-C, which ends the sweep and not this job alone; the sweep ends with the
    highest code of its jobs.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        _codes.append(code := command(cfg))
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return
    try:
        code = command(cfg)
    except Exception as error:
        discard_unused(Path(hydra.runtime.output_dir))
        end(error)  # here, as Hydra would put a line of its own before the sentence
    sys.exit(code)


def shown(path: Path) -> Path:
    """Return a path as one would type it: below the working directory, without that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def end(error: Exception) -> NoReturn:
    """End the program with one sentence if the user can mend `error`; raise it if it is a defect of ours."""
    if _WANTS_TRACEBACK or not is_users(error):
        raise error
    print(f"error: {sentence(error)}", file=sys.stderr)
    sys.exit(1)


def discard_unused(output: Path, with_log: bool = False) -> None:
    """Remove the output folder of a command that was refused or only planned, if nothing was written to it.

    It stays where another command is writing to it, where it was there before and an argument names it, and where it
    has a log that says something, unless `with_log`.
    """
    if not output.is_dir() or output.is_symlink() or output.resolve() in {Path.cwd(), *_users_own}:
        return
    log_file = output / f"{Path(sys.argv[0]).stem}.log"

    def is_unused() -> bool:
        said = log_file.is_file() and log_file.stat().st_size > 0
        return {path.name for path in output.iterdir()} <= {log_file.name, ".lock"} and (with_log or not said)

    with suppress(OSError, Busy):  # as far as it goes: it only tidies up
        if not is_unused():
            return
        with only_user_of(output):
            if is_unused():
                for path in list(output.iterdir()):
                    path.unlink()
                output.rmdir()


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or SIGTERM) of the block into a set event, so that work can end cleanly.

    The second one interrupts at once. Outside the main thread, where signals cannot be handled, nothing is changed.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()
        log.warning("interrupted: saving what there is (once more to stop at once)")

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def is_users(error: Exception) -> bool:
    """Tell whether the user can mend an error: bad input, a full or forbidden disk, options that Hydra refuses."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, UserError | OSError | HydraException | OmegaConfBaseException):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, ValueError) and str(frame.f_globals["__name__"]).startswith("hydra._internal.")


def sentence(error: Exception) -> str:
    """Say what is wrong; for a key or choice that does not exist, which there are."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from vec2uage.config.error_messages import unknown_choice, unknown_option

    cause = error.__cause__
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return unknown_choice(group, choice, list(error.options))
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node if not str(key).startswith("_")]
        value = str(error).rpartition("=")[2]
        if deeper := _deeper(cause.parent_node, str(cause.key)):
            return f"{cause.full_key or cause.key} = {value!r}: no such option; did you mean {' or '.join(deeper)}?"
        return unknown_option(str(cause.full_key or cause.key), value, keys)
    if isinstance(cause, OmegaConfBaseException):
        return f"{error} ({str(cause).splitlines()[0]})"
    if isinstance(error, OverrideParseException) and "=" not in error.override:
        return f"{error.override}: options are set as key=value (--help shows them)"
    if isinstance(error, OverrideParseException):
        reason = " ".join(line for line in str(error).splitlines() if not line.startswith("See http"))
        hint = " (a value that holds = , ( ) or a space needs quotes: 'key=\"value\"')"
        return f"{error.override}: {reason}" + hint * bool(re.search("mismatched input|LexerNoViableAlt", reason))
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if unknown := re.match(r"Could not override '(.+)'\. No match in the defaults list", text):
        return f"{unknown[1]}: no such option or group of this command (--help shows them)"
    if several := re.match(r"Ambiguous value for argument '(.+)' 1\.", text):
        return f"{several[1]}: several values are a grid, which needs -m (a list needs brackets, as in key=[a,b])"
    return text


def _deeper(config: Any, key: str) -> list[str]:
    """Return where in the groups of a configuration there is an option of this name."""
    from omegaconf import OmegaConf

    if key.startswith("_"):
        return []
    groups: Any = OmegaConf.to_container(config)
    return [f"{name}.{key}" for name, options in groups.items() if isinstance(options, dict) and key in options]

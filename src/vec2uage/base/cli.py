"""How a command ends: one sentence for the user's errors, a traceback only for our own, an exit code that tells."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from vec2uage.base.errors import UserError

INTERRUPTED = 130  # what shells expect of a program ended by Ctrl-C

log = logging.getLogger(__name__)


def run(entry: Callable[[], Any]) -> None:
    """Call a Hydra entry point; end with exit code 1 and one sentence where the user can mend what went wrong."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands exceptions on instead of printing a traceback of its own
    try:
        entry()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if wants_traceback or not _is_users(error):
            raise
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(1)


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


def _is_users(error: Exception) -> bool:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    return isinstance(error, UserError | HydraException | OmegaConfBaseException)


def _sentence(error: Exception) -> str:
    """Say what is wrong; for a key that does not exist, which keys there are (Hydra only says that it is not there)."""
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from vec2uage.config.validate import unknown_option

    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node if not str(key).startswith("_")]
        value = str(error).rpartition("=")[2]
        return unknown_option(str(cause.full_key or cause.key), value, keys)
    if isinstance(cause, OmegaConfBaseException):
        return f"{error} ({str(cause).splitlines()[0]})"
    return str(error).replace("\n", " ") if not isinstance(error, UserError) else str(error)

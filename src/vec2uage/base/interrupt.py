"""Ctrl-C: work that is asked to stop ends cleanly, with what it has."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130  # the exit code that shells expect of a program ended by Ctrl-C

log = logging.getLogger(__name__)


class Interrupted(Exception):
    """Work has ended early, as the user asked; what it had computed is kept."""


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


@contextmanager
def interruptible_keeping(store: str) -> Iterator[threading.Event]:
    """Yield the event of `interruptible` to work that keeps what it computes in `store`.

    Where the work raises Interrupted, say that the same command continues it, and end the command as Ctrl-C does.
    """
    with interruptible() as stop:
        try:
            yield stop
        except Interrupted:
            log.warning("what was computed is kept in %s: the same command continues", store)
            raise KeyboardInterrupt from None

"""Functions that test_pool runs in worker processes."""

import os
import signal
import time


def nothing() -> None:
    pass


def fail() -> None:
    raise OSError("nothing works here")


def double(number: int) -> int:
    """Double a number; 13 kills the process, as a decoder's crash or the kernel's out-of-memory killer does."""
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def mark_and_wait(folder: str) -> None:
    """Leave the process's number in a folder and stay."""
    with open(f"{folder}/{os.getpid()}", "w"):  # noqa: PTH123
        pass
    time.sleep(600)

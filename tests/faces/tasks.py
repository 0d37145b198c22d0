"""Functions that test_pool runs in worker processes."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def nothing() -> None:
    pass


def fail() -> None:
    raise OSError("nothing works here")


def double(number: int) -> int:
    """Double a number; 13 kills the process, as a decoder's crash or the kernel's out-of-memory killer does."""
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def answer(number: int) -> bytes:
    """Return far more than a pipe holds; the process of 13 is killed when half of it is written."""
    if number == 13:
        threading.Thread(target=_die_writing, args=(threading.get_native_id(),), daemon=True).start()
    return bytes(100_000_000)


def _die_writing(thread: int) -> None:
    """Kill this process as soon as one of its threads waits for a pipe that is full."""
    while True:
        with open(f"/proc/self/task/{thread}/syscall") as file:  # noqa: PTH123
            if file.read().split()[0] in ("1", "64"):  # write, on x86-64 and ARM
                os.kill(os.getpid(), signal.SIGKILL)


def mark_and_wait(folder: str) -> None:
    """Leave the process's number in a folder and stay."""
    mark(folder)
    time.sleep(600)


def mark(folder: str) -> bytes:
    """Leave the process's number in a folder, and return far more than a pipe holds."""
    with open(f"{folder}/{os.getpid()}", "w"):  # noqa: PTH123
        pass
    return bytes(50_000_000)


def count_to(number: int, folder: str) -> Iterator[bytes]:
    """Yield large results one by one; 13 kills its process in the middle, and 14 does so the first time."""
    for result in range(number):
        once = Path(folder) / f"{number}"
        if result == 7 and (number == 13 or (number == 14 and not once.exists())):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield bytes(1_000_000) + bytes([result])

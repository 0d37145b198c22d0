"""Keeps two processes from writing to one folder or file; a lock ends with its process, however that ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vec2uage.base.access import make_folder, open_to_write
from vec2uage.base.errors import UserError


class Busy(UserError):
    """Another process is writing there."""


@contextmanager
def only_user_of(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if need be; raises Busy where another one is in it."""
    make_folder(folder)
    with open_to_write(folder / ".lock", "ab") as file:
        lock(file, folder)
        yield


@contextmanager
def wait_for(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path`, which is made if need be, as soon as no other process holds it."""
    with open_to_write(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lock(file: IO[Any], what: Path) -> None:
    """Lock an open file until it is closed; raises Busy, which names `what`, where another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"{what}: another command is writing to it: wait, or name another folder") from None

"""Hashes of files: each is read once for as long as it stays as it is."""

import hashlib
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from threading import Event

from vec2uage.base.interrupt import Interrupted
from vec2uage.base.progress import Progress
from vec2uage.faces.records import Hashes, Photograph, Refused, unopened
from vec2uage.faces.store import Store


def hash_files(photographs: Sequence[Photograph], store: Store, workers: int, stop: Event) -> list[Hashes | Refused]:
    """Return the hashes of every photograph's file, or why it cannot be read, in order.

    Only files that the store does not know in their present state are read. Raises Interrupted when `stop` is set.
    """
    hashed: list[Hashes | Refused | None] = [_known(photograph, store) for photograph in photographs]
    unknown = [number for number, known in enumerate(hashed) if known is None]
    paths = [photographs[number].path for number in unknown]
    with ThreadPoolExecutor(workers) as threads, Progress(len(unknown), "file", "hashing") as progress:
        # threads suffice: reading and hashing hold no lock of Python's
        for number, path, result in zip(unknown, paths, threads.map(digest, paths, repeat(stop)), strict=True):
            progress.advance()
            if isinstance(result, Refused):
                hashed[number] = result
                continue
            state, hashed[number] = result
            store.put_hashes(_key(path), state, result[1])
    return [entry for entry in hashed if entry is not None]


def digest(path: Path, stop: Event) -> tuple[str, Hashes] | Refused:
    """Return a file's state and hashes; it is read in pieces, until `stop` is set, which raises Interrupted."""
    algorithms = [hashlib.sha256(), hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)]
    try:
        with path.open("rb") as file:
            state = state_of(os.fstat(file.fileno()))
            while piece := file.read(1 << 20):
                if stop.is_set():
                    raise Interrupted
                for algorithm in algorithms:
                    algorithm.update(piece)
    except OSError as error:
        return unopened(error)
    return state, Hashes(*(algorithm.hexdigest() for algorithm in algorithms))


def state_of(status: os.stat_result) -> str:
    """Return what changes when a file does: its number, size, and times of change in nanoseconds."""
    return f"{status.st_dev}/{status.st_ino}/{status.st_size}/{status.st_mtime_ns}/{status.st_ctime_ns}"


def regular_state(path: Path) -> str | Refused:
    """Return a file's state; refused are what is no file, as to open a pipe would wait for ever. Raises OSError."""
    status = path.stat()
    return state_of(status) if stat.S_ISREG(status.st_mode) else Refused("unreadable", "not a regular file")


def size_in(state: str) -> int:
    """Return how many bytes a file has in a state."""
    return int(state.split("/")[2])


def _known(photograph: Photograph, store: Store) -> Hashes | Refused | None:
    """Return the hashes that the store knows, or why a file is not even hashed; None: it has to be read."""
    if photograph.outside:
        return Refused(photograph.problem_status, photograph.problem)
    try:
        state = regular_state(photograph.path)
    except OSError as error:
        return unopened(error)
    return state if isinstance(state, Refused) else store.hashes(_key(photograph.path), state)


def _key(path: Path) -> bytes:
    return os.fsencode(path.absolute())

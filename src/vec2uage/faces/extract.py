"""Photographs in, face vectors out: in parallel, resumable, with one row for every file whatever it holds.

`extract` runs in three passes: hash every file; look into every content that the store does not know; read all rows
from the store. As rows come from the store alone, they are the same however often the second pass was interrupted.
"""

import hashlib
import logging
import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
from jaxtyping import Float32

from vec2uage.base.progress import Progress
from vec2uage.faces import pool, worker
from vec2uage.faces.detectors.base import choose
from vec2uage.faces.records import Face, Photograph, Refused, Status
from vec2uage.faces.store import Hashes, Measures, Store
from vec2uage.faces.worker import Extraction, Looked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a photograph, or of one of its faces."""

    status: Status
    reason: str = ""
    face: Face | None = None
    measures: Measures | None = None
    vector: Float32[np.ndarray, " D"] | None = None


_KILLED = Refused("unreadable", "the process that looked into it was killed (a damaged file, or out of memory)")


@dataclass(frozen=True)
class Row:
    """A row of faces.csv."""

    photograph: Photograph
    outcome: Outcome
    hashes: Hashes | None = None
    signature: str = ""
    """Of the photograph (see `faces.signature`)."""
    number: int = 1
    """Of the face in its photograph, from 1."""


@dataclass(frozen=True)
class Extracted:
    """All rows, and how many photographs had to be looked into, as the store did not know them."""

    rows: list[Row]
    looked_into: int


class Interrupted(Exception):
    """The user asked to stop; everything computed so far is in the store."""


def extract(
    photographs: Sequence[Photograph], how: Extraction, store: Store, workers: int, device: str, stop: Event
) -> Extracted:
    """Return one row for every photograph, or for every face of it with `faces=all`, in the order given.

    Raises Interrupted when `stop` is set before the work is done.
    """
    hashed = _hash_all(photographs, store, workers, stop)
    first: dict[str, Photograph] = {}
    refused: list[Outcome | None] = []
    for photograph, hashes in zip(photographs, hashed, strict=True):
        refused.append(_before_looking(photograph, hashes, first))
    pending = [
        (photograph.path, sha256)
        for sha256, photograph in first.items()
        if _is_missing(outcomes(sha256, how, store), sha256, how)
    ]
    failed = _look_into(pending, how, store, workers, device, stop)

    rows = []
    for photograph, hashes, outcome in zip(photographs, hashed, refused, strict=True):
        known = hashes if isinstance(hashes, Hashes) else None
        if outcome is not None:
            rows.append(Row(photograph, outcome, known))
            continue
        assert known is not None
        failure = failed.get(known.sha256)
        found = outcomes(known.sha256, how, store) if failure is None else [Outcome(failure.status, failure.reason)]
        assert found is not None, f"{photograph.name}: not in the store after it was looked into"
        signature = store.signature(known.sha256, worker.PIXELS)
        rows += [Row(photograph, each, known, signature, number) for number, each in enumerate(found, 1)]
    return Extracted(rows, len(pending))


def outcomes(sha256: str, how: Extraction, store: Store) -> list[Outcome] | None:
    """Return what the store knows of a photograph's chosen faces, None where anything is missing."""
    found = store.detection(sha256, how.detection_key())
    if found is None:
        return None
    try:
        if isinstance(found, Refused):
            raise found
        chosen = choose(found, how.faces)
    except Refused as refused:
        return [Outcome(refused.status, refused.reason)]
    each = [_outcome(sha256, face, how, store) for face in chosen]
    return None if None in each else [outcome for outcome in each if outcome is not None]


def _outcome(sha256: str, face: Face, how: Extraction, store: Store) -> Outcome | None:
    key = how.face_key(face)
    measures = store.measures(sha256, how.measures_key(face))
    if measures is None:
        return None
    if isinstance(measures, Refused):
        return Outcome(measures.status, measures.reason, face)
    try:
        how.quality.check(measures)
    except Refused as refused:
        return Outcome(refused.status, refused.reason, face, measures)
    vector = store.vector(sha256, key, how.embedder.fingerprint())
    return None if vector is None else Outcome("ok", "", face, measures, vector)


def _before_looking(photograph: Photograph, hashes: Hashes | Refused, first: dict[str, Photograph]) -> Outcome | None:
    """Return why a photograph is not looked into; else None, and it is the `first` of its content."""
    if isinstance(hashes, Refused):
        return Outcome(hashes.status, hashes.reason)
    if photograph.problem:
        return Outcome(photograph.problem_status, photograph.problem)
    earlier = first.setdefault(hashes.sha256, photograph)
    if earlier is photograph:
        return None
    ages = "" if earlier.age == photograph.age else f", there of age {earlier.age:g}, here {photograph.age:g}"
    return Outcome("duplicate", f"the same file as {earlier.name}{ages}")


def _is_missing(known: list[Outcome] | None, sha256: str, how: Extraction) -> bool:
    """Tell whether a photograph has to be looked into: something is not in the store, or a crop is not kept."""
    if known is None:
        return True
    kept = [outcome.face for outcome in known if outcome.status == "ok" and how.keep_crops is not None]
    return any(face is not None and not how.crop_file(sha256, face).is_file() for face in kept)


def _hash_all(photographs: Sequence[Photograph], store: Store, workers: int, stop: Event) -> list[Hashes | Refused]:
    """Hash every file that has changed since it was hashed last."""
    known: dict[int, Hashes | Refused] = {}
    unknown: list[int] = []
    for number, photograph in enumerate(photographs):
        status = _status(photograph)
        if isinstance(status, Refused):
            known[number] = status
            continue
        hashes = store.hashes(_key(photograph.path), state_of(status))
        if hashes is None:
            unknown.append(number)
        else:
            known[number] = hashes
    paths = [photographs[number].path for number in unknown]
    with ThreadPoolExecutor(workers) as threads, Progress(len(unknown), "file", "hashing") as progress:
        # threads suffice: reading and hashing hold no lock of Python's
        for number, path, result in zip(unknown, paths, threads.map(digest, paths), strict=True):
            if stop.is_set():
                threads.shutdown(cancel_futures=True)
                raise Interrupted
            progress.advance()
            if isinstance(result, Refused):
                known[number] = result
                continue
            state, hashes = result
            store.put_hashes(_key(path), state, hashes)
            known[number] = hashes
    return [known[number] for number in range(len(photographs))]


def _status(photograph: Photograph) -> os.stat_result | Refused:
    """Return what the file system says of a file, or why it is not even hashed."""
    if photograph.outside:
        return Refused(photograph.problem_status, photograph.problem)
    try:
        status = photograph.path.stat()
    except OSError as error:
        return Refused("unreadable", f"cannot be opened: {error.strerror or error}")
    # to open a pipe would wait for ever
    return status if stat.S_ISREG(status.st_mode) else Refused("unreadable", "not a regular file")


def state_of(status: os.stat_result) -> str:
    """Return what changes when a file does: its number, size, and times of change in nanoseconds."""
    return f"{status.st_dev}/{status.st_ino}/{status.st_size}/{status.st_mtime_ns}/{status.st_ctime_ns}"


def _key(path: Path) -> bytes:
    return os.fsencode(path.absolute())


def digest(path: Path) -> tuple[str, Hashes] | Refused:
    """Return a file's state and hashes; it is read in pieces."""
    algorithms = [hashlib.sha256(), hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)]
    try:
        with path.open("rb") as file:
            state = state_of(os.fstat(file.fileno()))
            while piece := file.read(1 << 20):
                for algorithm in algorithms:
                    algorithm.update(piece)
    except OSError as error:
        return Refused("unreadable", f"cannot be opened: {error.strerror or error}")
    return state, Hashes(*(algorithm.hexdigest() for algorithm in algorithms))


def _look_into(
    pending: Sequence[tuple[Path, str]], how: Extraction, store: Store, workers: int, device: str, stop: Event
) -> dict[str, Refused]:
    """Detect, measure and embed, and put all into the store; return what failed, which the next run tries again."""
    failed: dict[str, Refused] = {}
    if not pending:
        return failed
    embed = how.embedder.open(device)
    encoder, batch_size = how.embedder.fingerprint(), how.embedder.batch_size
    batch: list[tuple[str, str, np.ndarray]] = []

    def flush() -> None:
        if batch:
            vectors = embed(np.stack([prepared for _, _, prepared in batch]))
            for (sha256, key, _), vector in zip(batch, vectors, strict=True):
                store.put_vector(sha256, key, encoder, vector)
            batch.clear()

    found = [(path, sha256, _faces(store, sha256, how)) for path, sha256 in pending]
    looked_into = pool.run(worker.look, found, workers, worker.start, (how,), 2 * batch_size + workers, stop)
    with Progress(len(pending), "photograph", "photographs", spoken=True) as progress:
        for (_, sha256, _), looked in looked_into:
            if isinstance(looked, Looked):
                batch += _keep(sha256, looked, how, store)
            else:
                failed[sha256] = looked or _KILLED
            if len(batch) >= batch_size:
                flush()
            progress.advance()
        flush()
    if stop.is_set():
        raise Interrupted
    return failed


def _faces(store: Store, sha256: str, how: Extraction) -> list[Face] | None:
    found = store.detection(sha256, how.detection_key())
    return found if isinstance(found, list) else None


def _keep(sha256: str, looked: Looked, how: Extraction, store: Store) -> list[tuple[str, str, np.ndarray]]:
    """Put what a worker found into the store; return the inputs of the vectors that are still missing."""
    store.put_detection(sha256, how.detection_key(), looked.found)
    if looked.signature:
        store.put_signature(sha256, worker.PIXELS, looked.signature)
    missing = []
    for cut in looked.cuts:
        key = how.face_key(cut.face)
        store.put_measures(sha256, how.measures_key(cut.face), cut.measured)
        if cut.prepared is not None and _outcome(sha256, cut.face, how, store) is None:
            missing.append((sha256, key, cut.prepared))
    return missing

"""Photographs in, face vectors out: in parallel, resumable, with one row for every file whatever it holds.

`extract` runs in three passes: hash every file; look into every content that the store does not know; read all rows
from the store. As rows come from the store alone, they are the same however often the second pass was interrupted.
"""

import hashlib
import logging
import os
import stat
import time
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

_LINE_SECONDS = 15  # between two lines of progress where there is no terminal


@dataclass(frozen=True)
class Outcome:
    """What became of a photograph, or of one of its faces."""

    status: Status
    reason: str = ""
    face: Face | None = None
    measures: Measures | None = None
    vector: Float32[np.ndarray, " D"] | None = None


_CRASHED = Outcome("unreadable", "the process that looked into it was killed (a damaged file, or out of memory)")


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
    hashed = _hash_all([photograph.path for photograph in photographs], store, workers, stop)
    first: dict[str, Photograph] = {}
    refused: list[Outcome | None] = []
    for photograph, hashes in zip(photographs, hashed, strict=True):
        refused.append(_before_looking(photograph, hashes, first))
    pending = [
        (photograph.path, sha256)
        for sha256, photograph in first.items()
        if outcomes(sha256, how, store) is None or _lacks_crop(sha256, how, store)
    ]
    crashed = _look_into(pending, how, store, workers, device, stop)

    rows = []
    for photograph, hashes, outcome in zip(photographs, hashed, refused, strict=True):
        known = hashes if isinstance(hashes, Hashes) else None
        if outcome is not None:
            rows.append(Row(photograph, outcome, known))
            continue
        assert known is not None
        found = [_CRASHED] if known.sha256 in crashed else outcomes(known.sha256, how, store)
        assert found is not None, f"{photograph.name}: not in the store after it was looked into"
        signature = store.signature(known.sha256)
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


def _lacks_crop(sha256: str, how: Extraction, store: Store) -> bool:
    if how.keep_crops is None:
        return False
    faces = outcomes(sha256, how, store) or []
    kept = [worker.crop_file(how.keep_crops, sha256, number).is_file() for number in range(1, len(faces) + 1)]
    return not all(present for present, face in zip(kept, faces, strict=True) if face.status == "ok")


def _hash_all(paths: Sequence[Path], store: Store, workers: int, stop: Event) -> list[Hashes | Refused]:
    """Hash every file that has changed since it was hashed last."""
    known: dict[Path, Hashes | Refused] = {}
    unknown = []
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            known[path] = Refused("unreadable", f"cannot be opened: {error.strerror or error}")
            continue
        if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for ever
            known[path] = Refused("unreadable", "not a regular file")
            continue
        hashes = store.hashes(os.fsencode(path.absolute()), status.st_size, status.st_mtime_ns)
        if hashes is None:
            unknown.append(path)
        else:
            known[path] = hashes
    with ThreadPoolExecutor(workers) as threads:  # reading and hashing hold no lock
        for path, result in zip(unknown, threads.map(digest, unknown), strict=True):
            if stop.is_set():
                threads.shutdown(cancel_futures=True)
                raise Interrupted
            if isinstance(result, Refused):
                known[path] = result
                continue
            size, modified_ns, hashes = result
            store.put_hashes(os.fsencode(path.absolute()), size, modified_ns, hashes)
            known[path] = hashes
    store.commit()
    return [known[path] for path in paths]


def digest(path: Path) -> tuple[int, int, Hashes] | Refused:
    """Return size, time of change (ns) and hashes of a file, read in pieces."""
    algorithms = [hashlib.sha256(), hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)]
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            while piece := file.read(1 << 20):
                for algorithm in algorithms:
                    algorithm.update(piece)
    except OSError as error:
        return Refused("unreadable", f"cannot be opened: {error.strerror or error}")
    return status.st_size, status.st_mtime_ns, Hashes(*(algorithm.hexdigest() for algorithm in algorithms))


def _look_into(
    pending: Sequence[tuple[Path, str]], how: Extraction, store: Store, workers: int, device: str, stop: Event
) -> set[str]:
    """Detect, measure and embed, and put all into the store, batch by batch; return what killed its process."""
    crashed: set[str] = set()
    if not pending:
        return crashed
    embed = how.embedder.open(device)
    encoder, batch_size = how.embedder.fingerprint(), how.embedder.batch_size
    batch: list[tuple[str, str, np.ndarray]] = []

    def flush() -> None:
        if batch:
            vectors = embed(np.stack([prepared for _, _, prepared in batch]))
            for (sha256, key, _), vector in zip(batch, vectors, strict=True):
                store.put_vector(sha256, key, encoder, vector)
            batch.clear()
        store.commit()

    found = [(path, sha256, _faces(store, sha256, how)) for path, sha256 in pending]
    looked_into = pool.run(worker.look, found, workers, worker.start, (how,), 2 * batch_size + workers, stop)
    began = spoke = time.monotonic()
    with Progress(len(pending), "image", "photographs") as progress:
        for done, ((_, sha256, _), looked) in enumerate(looked_into, 1):
            if looked is None:  # not stored: the next run tries again
                crashed.add(sha256)
            else:
                batch += _keep(sha256, looked, how, store)
            if len(batch) >= batch_size:
                flush()
            progress.advance()
            if not progress.is_terminal and time.monotonic() - spoke > _LINE_SECONDS:
                spoke = time.monotonic()
                rate = done / (spoke - began)
                left = (len(pending) - done) / rate
                progress.line(f"{done:,} of {len(pending):,} photographs, {rate:.1f}/s, {left:.0f} s left")
        flush()
    if stop.is_set():
        raise Interrupted
    return crashed


def _faces(store: Store, sha256: str, how: Extraction) -> list[Face] | None:
    found = store.detection(sha256, how.detection_key())
    return found if isinstance(found, list) else None


def _keep(sha256: str, looked: Looked, how: Extraction, store: Store) -> list[tuple[str, str, np.ndarray]]:
    """Put what a worker found into the store; return the inputs of the vectors that are still missing."""
    store.put_detection(sha256, how.detection_key(), looked.found)
    store.put_signature(sha256, looked.signature)
    missing = []
    for cut in looked.cuts:
        key = how.face_key(cut.face)
        store.put_measures(sha256, how.measures_key(cut.face), cut.measured)
        if cut.prepared is not None and _outcome(sha256, cut.face, how, store) is None:
            missing.append((sha256, key, cut.prepared))
    return missing

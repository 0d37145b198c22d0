"""Photographs in, rows with vectors out: in parallel, resumable, with a row for every file whatever it holds.

`extract` hashes every file, detects, cuts out and embeds the faces of every content that the store does not know, and
reads all rows from the store. As rows come from the store alone, they are the same however often the work was
interrupted, and whatever number of processes did it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np

from vec2uage.base.interrupt import Interrupted
from vec2uage.base.progress import Progress
from vec2uage.faces import pool, worker
from vec2uage.faces.extraction import PIXELS, Extraction
from vec2uage.faces.hashing import hash_files
from vec2uage.faces.records import Detection, FaceCrop, Hashes, Photograph, Refused, Row
from vec2uage.faces.rows import crop_files, rows_of
from vec2uage.faces.store import Store

_KILLED = Refused("unreadable", "the process that looked into it was killed (a damaged file, or out of memory)")


@dataclass(frozen=True)
class Extracted:
    """All rows, and how many photographs had to be opened, as the store did not know them."""

    rows: list[Row]
    opened: int


def extract(
    photographs: Sequence[Photograph], extraction: Extraction, store: Store, workers: int, device: str, stop: Event
) -> Extracted:
    """Return one row for every photograph, or for every face of it with `faces=all`, in the order given.

    Raises Interrupted when `stop` is set before the work is done.
    """
    hashed = hash_files(photographs, store, workers, stop)
    rows: list[list[Row] | None] = []
    first: dict[str, Photograph] = {}  # of each content
    pending: dict[int, tuple[Photograph, Hashes]] = {}  # by its place in `rows`
    for photograph, hashes in zip(photographs, hashed, strict=True):
        known: list[Row] | None
        if isinstance(hashes, Refused):
            known = [Row(photograph, hashes.status, hashes.reason)]
        elif photograph.problem:
            known = [Row(photograph, photograph.problem_status, photograph.problem, hashes)]
        elif (earlier := first.setdefault(hashes.sha256, photograph)) is not photograph:
            known = [Row(photograph, "duplicate", f"the same file as {earlier.name}", hashes)]
        else:
            known = rows_of(photograph, hashes, extraction, store)
            if known is None or not all(file.is_file() for file in crop_files(known, extraction)):
                pending[len(rows)] = photograph, hashes
        rows.append(known)

    paths = [(photograph.path, hashes.sha256) for photograph, hashes in pending.values()]
    failed = _detect_and_embed(paths, extraction, store, workers, device, stop) if paths else {}
    for number, (photograph, hashes) in pending.items():
        rows[number] = rows_of(photograph, hashes, extraction, store, failed.get(hashes.sha256))
    whole: list[Row] = []
    for photograph, done in zip(photographs, rows, strict=True):
        assert done is not None, f"{photograph.name}: not in the store after it was opened"
        whole += done
    return Extracted(_without_conflicts(whole), len(pending))


def detect_all(
    paths: Sequence[tuple[Path, str]], extraction: Extraction, store: Store, workers: int, stop: Event
) -> Iterator[Detection]:
    """Yield what worker processes find in photographs, given by path and SHA-256, as they are done.

    Boxes that the store knows are not looked for again. So that memory stays bounded, the processes wait when two
    batches of the embedder have not been taken. Ends early when `stop` is set.
    """
    tasks = []
    for path, sha256 in paths:
        faces = store.detection(sha256, extraction.detection_key)
        tasks.append((path, sha256, None if isinstance(faces, Refused) else faces))
    ahead = 2 * extraction.embedder.batch_size + workers
    for (_, sha256, _), detection in pool.run(worker.detect, tasks, workers, worker.start, (extraction,), ahead, stop):
        yield detection or Detection(sha256, _KILLED, lasting=False)


def embed_crops(crops: Iterator[FaceCrop], extraction: Extraction, store: Store, device: str) -> None:
    """Make vectors `[B, D]` of the crops' inputs `[B, ...]`, a batch at a time, and put each into the store."""
    embed = extraction.embedder.open(device)
    while batch := list(islice(crops, extraction.embedder.batch_size)):
        vectors = embed(np.stack([crop.prepared for crop in batch if crop.prepared is not None]))
        for crop, vector in zip(batch, vectors, strict=True):
            store.put_vector(crop.sha256, extraction.face_key(crop.face), extraction.stored_as[0], vector)


def _detect_and_embed(
    paths: Sequence[tuple[Path, str]], extraction: Extraction, store: Store, workers: int, device: str, stop: Event
) -> dict[str, Refused]:
    """Put all that is missing into the store; return what failed, by SHA-256, which the next run tries again."""
    failed: dict[str, Refused] = {}
    with Progress(len(paths), "photograph", "photographs", spoken=True) as progress:

        def crops() -> Iterator[FaceCrop]:
            for detection in detect_all(paths, extraction, store, workers, stop):
                if detection.lasting:
                    yield from _kept(detection, extraction, store)
                elif isinstance(detection.faces, Refused):
                    failed[detection.sha256] = detection.faces
                progress.advance()

        embed_crops(crops(), extraction, store, device)
    if stop.is_set():
        raise Interrupted
    return failed


def _kept(detection: Detection, extraction: Extraction, store: Store) -> Iterator[FaceCrop]:
    """Put what was found into the store; yield the good crops whose vectors it lacks."""
    store.put_detection(detection.sha256, extraction.detection_key, detection.faces)
    store.put_signature(detection.sha256, PIXELS, detection.signature)
    for crop in detection.crops:
        store.put_measures(crop.sha256, extraction.measures_key(crop.face, extraction.stored_as[0]), crop.measures)
        if isinstance(crop.measures, Refused) or extraction.quality.check(crop.measures) is not None:
            continue
        if extraction.stored_vector(store, crop.sha256, extraction.face_key(crop.face)) is None:
            yield crop


def _without_conflicts(rows: Sequence[Row]) -> list[Row]:
    """Take the vectors from photographs of which different things are said, also by rows that a filter left out."""
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.hashes is not None:
            same[row.hashes.sha256].append(row)
    conflicts = {
        sha256: told
        for sha256, group in same.items()
        if any(row.status == "ok" for row in group) and (told := _conflict([row.photograph for row in group]))
    }
    return [
        replace(row, status="conflicting", reason=conflicts[row.hashes.sha256], vector=None)
        if row.hashes is not None and row.hashes.sha256 in conflicts and row.status in ("ok", "duplicate")
        else row
        for row in rows
    ]


def _conflict(same: Sequence[Photograph]) -> str:
    """Return which facts of one photograph exclude each other, "" if none do."""
    known: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)  # the first file that says so, by fact and value
    for photograph in same:
        age = "" if photograph.age is None else f"{photograph.age:g}"
        for fact, part, value in (
            ("age", "", age),
            ("gender", "", photograph.gender),
            ("subject", photograph.part, photograph.subject),
        ):
            if value:
                known[fact, part].setdefault(value, photograph.name)
    for (fact, _), values in known.items():
        if len(values) > 1:
            (one, here), (other, there), *more = values.items()
            further = f" and {len(more)} more" if more else ""
            return (
                f"one photograph, but several values of {fact}: {one} for {here}, {other} for {there}{further}; where "
                "they are of several faces, give each face a file of its own"
            )
    return ""

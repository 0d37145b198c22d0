"""From sources to vectors: those that were made already are read, those of photographs are made."""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np

from vec2uage.base.encoder import Encoder, check_mergeable
from vec2uage.base.formatting import counted
from vec2uage.base.interrupt import Interrupted
from vec2uage.data.cells import as_label
from vec2uage.data.vectorset import VectorSet, merge, needed_ages
from vec2uage.faces.extract import extract
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.pool import processes
from vec2uage.faces.prepare_settings import PrepareSettings
from vec2uage.faces.records import Photograph, Row
from vec2uage.faces.rows import to_vectors
from vec2uage.faces.sources.base import Photographs
from vec2uage.faces.sources.vector_files import VectorFiles
from vec2uage.faces.store import open_store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gathered:
    """All faces of a source: the vectors, and what became of each photograph, if there were any."""

    vectors: VectorSet | None
    rows: list[Row]
    """Without their vectors."""
    files: tuple[str, ...] = ()
    """The fingerprints of the vectors that were read from files."""

    def fingerprint(self) -> str:
        """Return 64 hex digits that change with any file, what became of it, what is known of it, and the encoder.

        Vectors of photographs are not among it: other processors make them with other last bits.
        """
        encoder = str(Encoder.parse(self.vectors.encoder)) if self.vectors else ""
        digest = hashlib.sha256(repr((encoder, self.files)).encode())
        for row in self.rows:
            photograph = row.photograph
            labels = (photograph.age, photograph.subject, photograph.gender, photograph.source)
            known = (photograph.name, labels, row.hashes, row.signature, row.status, row.reason, row.face)
            digest.update(repr(known).encode())
        return digest.hexdigest()


def gather(settings: PrepareSettings, extraction: Extraction, stop: Event) -> Gathered:
    """Read the vectors `[N, D]` of all sources and make those of all photographs.

    Raises Interrupted when `stop` is set, and UserError where a source cannot be read or has vectors of another encoder
    than that of the photographs.
    """
    sources = settings.source.sources()
    several = len(sources) > 1
    sets: list[VectorSet] = []
    for source in sources:
        if isinstance(source, VectorFiles):
            vs = source.read()
            needed_ages(vs, "vec2uage.prepare")
            sets.append(_with_own_subjects(vs) if several else vs)
        if stop.is_set():
            raise Interrupted
    files = tuple(vs.fingerprint() for vs in sets)
    of_photographs = [source for source in sources if isinstance(source, Photographs)]
    if not of_photographs:
        return Gathered(_merged(sets), [], files)
    check_mergeable([extraction.encoder, *(vs.encoder for vs in sets)])  # before hours of work
    photographs = [found for source in of_photographs for found in find_photographs(source, prefixed=several)]
    log.info("%s found", counted(len(photographs), "file"))
    with open_store(Path(settings.store)) as store:
        extracted = extract(photographs, extraction, store, processes(settings.workers), settings.device, stop)
    rest = ", the others were known or are left out" * (extracted.opened < len(photographs))
    log.info("%s of them opened%s", f"{extracted.opened:,}", rest)
    made = to_vectors(extracted.rows, extraction.encoder)
    sets += [made] if made is not None else []
    # the vectors are in one matrix now: a second copy of each would be half of all memory
    return Gathered(_merged(sets) if sets else None, [replace(row, vector=None) for row in extracted.rows], files)


def find_photographs(source: Photographs, prefixed: bool) -> list[Photograph]:
    """Return all photographs of a source; those that its filters leave out have a problem that says so.

    Persons are labels (`cells.as_label`). Among several sources (`prefixed`), names and persons begin with the name of
    the source.
    """
    found = []
    for photograph in source.find():
        subject = as_label(photograph.subject, photograph.name)
        named = replace(photograph, subject=subject)
        if prefixed:
            subject = subject and f"{source.name}/{subject}"
            named = replace(photograph, name=f"{source.name}/{photograph.name}", subject=subject, part=source.name)
        if not photograph.problem and not source.admits(photograph):
            named = replace(named, problem="left out by the filters of its source", problem_status="filtered")
        found.append(named)
    return found


def _with_own_subjects(vs: VectorSet) -> VectorSet:
    """Tell the persons of each row's source from those of other sources."""
    subjects = [subject and f"{source}/{subject}" for source, subject in zip(vs.source, vs.subjects, strict=True)]
    return replace(vs, subjects=np.array(subjects, dtype=object))


def _merged(sets: list[VectorSet]) -> VectorSet:
    return sets[0] if len(sets) == 1 else merge(sets)

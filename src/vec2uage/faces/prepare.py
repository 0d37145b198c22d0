"""From a source to a folder that training reads: gather faces, make vectors, divide, and say what became of each file.

The folder is complete when `dataset.json` is there; it is written last.
"""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import code_fingerprint
from vec2uage.data.assemble import assemble, read_description, write_description
from vec2uage.data.vectorset import VectorSet, merge
from vec2uage.faces.extract import Interrupted, Row, extract
from vec2uage.faces.records import Photograph
from vec2uage.faces.rows import counts, face_name, to_vectors, write_table
from vec2uage.faces.sources.base import Photographs
from vec2uage.faces.sources.vectors import Vectors
from vec2uage.faces.spec import PrepareSettings, from_config
from vec2uage.faces.store import open_store
from vec2uage.faces.worker import Extraction

log = logging.getLogger(__name__)

BROKEN = ("unreadable", "no_age")  # statuses of files that somebody may want to repair
WITH_BROKEN_FILES = 3  # exit code: all was written, but some files are of these


@dataclass(frozen=True)
class Gathered:
    """All faces of a source: the vectors, and what became of each photograph, if there were any."""

    vectors: VectorSet | None
    rows: list[Row]
    looked_into: int

    def fingerprint(self) -> str:
        """Return 64 hex digits that change with any vector and with what became of any file."""
        digest = hashlib.sha256(self.vectors.fingerprint().encode() if self.vectors else b"")
        for row in self.rows:
            digest.update(repr((row.photograph.name, row.hashes, row.outcome.status, row.outcome.reason)).encode())
        return digest.hexdigest()


def prepare(cfg: DictConfig) -> int:
    """Prepare what `cfg` describes in Hydra's output folder, print a summary, and return the exit code.

    0: done; 3: done, but some files were unreadable or had no age; 130: interrupted, the same command continues.
    Raises UserError for wrong options, a folder of other options, a source without a usable face, or too few faces
    to divide.
    """
    settings = from_config(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    before = read_description(folder) or {}
    if before and before.get("options") != settings.options and not settings.overwrite:
        raise UserError(_other_options(folder, before.get("options", {}), settings.options))
    with cli.interruptible() as stop:
        try:
            gathered = gather(settings, folder, stop)
        except Interrupted:
            log.warning("what was computed is kept in %s: the same command continues", settings.store)
            return cli.INTERRUPTED
    statuses = counts(gathered.rows)
    code = WITH_BROKEN_FILES if any(statuses.get(status) for status in BROKEN) else 0
    done = {"gathered": gathered.fingerprint(), "code": code_fingerprint(), "options": settings.options}
    if all(before.get(key) == value for key, value in done.items()):
        log.info("nothing new: %s is complete (overwrite=true writes it anew)", folder)
    else:
        _write(gathered, settings, statuses, folder, done)
    print(_summary(read_description(folder) or {}, folder))
    return code


def gather(settings: PrepareSettings, folder: Path, stop: Event) -> Gathered:
    """Read the vectors of all sources and make those of all photographs; Interrupted when `stop` is set."""
    sources = settings.source.sources()
    of_photographs = [source for source in sources if isinstance(source, Photographs)]
    sets = [_own_subjects(source.read(), len(sources) > 1) for source in sources if isinstance(source, Vectors)]
    rows: list[Row] = []
    looked_into = 0
    if of_photographs:
        photographs = [
            _named(photograph, source, len(sources) > 1) for source in of_photographs for photograph in source.find()
        ]
        log.info("%s files found", f"{len(photographs):,}")
        how = Extraction(
            detector=settings.detector,
            faces=settings.faces,
            crop=settings.crop,
            quality=settings.quality,
            embedder=settings.embedder,
            max_pixels=settings.max_pixels,
            keep_crops=folder / "crops" if settings.keep_crops else None,
        )
        workers = len(os.sched_getaffinity(0)) if settings.workers == "auto" else settings.workers
        with open_store(Path(settings.store)) as store:
            extracted = extract(photographs, how, store, workers, settings.device, stop)
        rows, looked_into = extracted.rows, extracted.looked_into
        log.info("%s photographs looked into, all others were known", f"{looked_into:,}")
        made = to_vectors(rows, settings.embedder.fingerprint())
        sets += [made] if made is not None else []
    return Gathered(sets[0] if len(sets) == 1 else merge(sets) if sets else None, rows, looked_into)


def _named(photograph: Photograph, source: Photographs, prefixed: bool) -> Photograph:
    """Note if a filter leaves a photograph out; among several sources, tell its name and person from the others'."""
    if prefixed:
        subject = photograph.subject and f"{source.name}/{photograph.subject}"
        photograph = replace(photograph, name=f"{source.name}/{photograph.name}", subject=subject)
    if photograph.problem or source.admits(photograph):
        return photograph
    return replace(photograph, problem="left out by the filters of its source", problem_status="filtered")


def _own_subjects(vs: VectorSet, prefixed: bool) -> VectorSet:
    """Among several sources, tell the persons of each row's source from those of the others."""
    if not prefixed:
        return vs
    subjects = [subject and f"{source}/{subject}" for source, subject in zip(vs.source, vs.subjects, strict=True)]
    return replace(vs, subjects=np.array(subjects, dtype=object))


def _write(
    gathered: Gathered, settings: PrepareSettings, statuses: dict[str, int], folder: Path, done: dict[str, Any]
) -> None:
    if gathered.rows:
        write_table(gathered.rows, folder / "faces.csv")
    if gathered.vectors is None:
        found = ", ".join(f"{count:,} {status}" for status, count in statuses.items() if count)
        raise UserError(f"no usable face in {len(gathered.rows):,} files ({found}): {folder / 'faces.csv'} says why")
    good = [row for row in gathered.rows if row.outcome.vector is not None]
    assembled = assemble(
        gathered.vectors,
        settings.split,
        settings.leakage,
        folder,
        {face_name(row): row.hashes.sha256 for row in good if row.hashes},
        _signatures(good),
        settings.json,
    )
    for source in settings.source.sources():
        for name, figure in source.figures().items():
            with replacing(folder / f"{name}.png") as temporary:
                figure.savefig(temporary)
    write_description(assembled, folder, files_by_status=statuses, **done)


def _signatures(good: Sequence[Row]) -> dict[str, str]:
    """Return the signatures of the photographs by name; several faces of one photograph are no copies of each other."""
    faces = Counter(row.photograph.name for row in good)
    return {row.photograph.name: row.signature for row in good if faces[row.photograph.name] == 1}


def _other_options(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> str:
    before, now = _flat(old), _flat(new)
    changed = [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return (
        f"{folder} was made with other options ({'; '.join(changed[:3])}{more}): choose another folder with "
        "output=..., or replace it with overwrite=true"
    )


def _flat(options: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(options, dict):
        return {prefix.rstrip("."): options}
    flat: dict[str, Any] = {}
    for key, value in options.items():
        flat |= _flat(value, f"{prefix}{key}.")
    return flat


def _summary(description: dict[str, Any], folder: Path) -> str:
    """Say in a few lines what a folder holds and how to go on."""
    parts, leaks = description["parts"], description["leakage"]
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    divided = len(parts) > 1
    sizes = ", ".join(f"{part['rows']:,} {'in one file' if not divided else name}" for name, part in parts.items())
    statuses = ", ".join(f"{count:,} {status}" for status, count in description["files_by_status"].items())
    copies, persons = (
        sum(leaks["pairs_across_sides" if divided else "pairs"][kind] for kind in kinds)
        for kinds in (("identical_file", "near_duplicate"), ("same_person",))
    )
    where = "across parts" if divided else "of vectors"
    lines = [
        f"files    {statuses}" if statuses else "",
        f"vectors  {sizes}; {description['dimension']} numbers each, {description['encoder']}",
        f"leakage  {copies:,} pairs {where} show one picture, {persons:,} more likely one person ({leaks['action']})",
        f"folder   {shown}",
        "train    python -m vec2uage.train "
        + (
            f"dataset=prepared dataset.path={shown}"
            if divided
            else f"dataset=vectors dataset.path={shown}/vectors.arrow"
        ),
    ]
    return "\n".join(line for line in lines if line)

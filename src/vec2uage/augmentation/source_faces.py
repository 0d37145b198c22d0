"""The photographed faces that are augmented: those of a prepared set, or of photographs as they are."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
from jaxtyping import Float32

from vec2uage.augmentation.execution import Execution, ExecutionOptions
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.config.trust import check_trusted
from vec2uage.config.validate import from_config
from vec2uage.data.parts import UNDIVIDED
from vec2uage.data.prepared import AGAIN, DESCRIPTION, Prepared, find_set, part_file
from vec2uage.data.readers import read
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.extract import extract
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.gather import gather
from vec2uage.faces.prepare_settings import PrepareSettings
from vec2uage.faces.records import Face, Photograph, Row
from vec2uage.faces.rows import counts, face_name
from vec2uage.faces.sources.walk import text_name, walk
from vec2uage.faces.store import open_store


@dataclass(frozen=True, eq=False)
class SourceFace:
    """A photographed face: where it is, and its vector."""

    name: str
    age: float
    """Years; NaN where unknown."""
    path: Path
    sha256: str
    """Of the photograph's content."""
    face: Face
    vector: Float32[np.ndarray, " D"]


def is_prepared(path: Path) -> bool:
    """Tell whether a path is a folder that `vec2uage.prepare` wrote."""
    return (path / DESCRIPTION).is_file()


def has_training_part(prepared: Path) -> bool:
    """Tell whether a prepared set was split, and so has training rows apart from those that are held out."""
    found = find_set(prepared)
    return found is not None and "train" in found.about["parts"]


def settings_of(prepared: Path, execution: ExecutionOptions, trust_code: bool) -> PrepareSettings:
    """Return the settings that a set was prepared with, but with the store, workers and device of `execution`.

    UserError where they name classes of the user's own, whose modules are imported only with `trust_code`.
    """
    found = find_set(prepared)
    if found is None:
        raise UserError(
            f"{prepared}: no folder that vec2uage.prepare wrote, or not a complete one: no readable {DESCRIPTION} in it"
        )
    now = {"store": execution.store, "workers": execution.workers, "device": execution.device}
    options = found.options | now | {"overwrite": False, "output": ""}
    check_trusted(options, str(prepared / DESCRIPTION), trust_code)
    try:
        return from_config(options, PrepareSettings)
    except UserError as error:
        raise UserError(f"{prepared / DESCRIPTION}: {error}; {AGAIN}") from None


def read_part(prepared: Path, part: str) -> VectorSet:
    """Return the rows of a part of a prepared set; `UNDIVIDED` is that of a set that was not split."""
    if part == UNDIVIDED:
        return read(part_file(prepared, UNDIVIDED))
    return Prepared(path=str(prepared)).parts()[part]


def faces_of_rows(vs: VectorSet, prepared: Path, settings: PrepareSettings, stop: Event) -> dict[str, SourceFace]:
    """Find the photographs that rows of a set come from, by the row's name; rows read from files of vectors have none.

    Raises UserError where the photographs are not those that the set was prepared from, and Interrupted.
    """
    try:
        gathered = gather(settings, settings.extraction(None), stop)  # only vec2uage.prepare keeps crops
    except UserError as error:
        raise UserError(
            f"{prepared}: its photographs cannot be read again ({error}); run this command in the folder where the set "
            "was prepared, as paths may be relative to it"
        ) from None
    found = find_set(prepared)
    if found is None or found.inputs != {"source": gathered.fingerprint()}:
        raise UserError(f"{prepared}: its photographs, or what is made of them, have changed since: {AGAIN}")
    number = {name: row for row, name in enumerate(vs.names)}
    return {
        face_name(row): _source_face(row, vs.vectors[number[face_name(row)]])
        for row in gathered.rows
        if row.status == "ok" and face_name(row) in number
    }


def faces_of_photographs(path: Path, extraction: Extraction, execution: Execution) -> list[SourceFace]:
    """Find the largest face in a photograph, or in every photograph below a folder; their ages stay unknown.

    Raises UserError where there is none, and Interrupted.
    """
    photographs = walk(path, "photographs") if path.is_dir() else [Photograph(path, text_name(path, path.parent), None)]
    with open_store(execution.store) as store:
        rows = extract(photographs, extraction, store, execution.workers, execution.device, execution.stop).rows
    good = [row for row in rows if row.status == "ok"]
    if not good:
        found = ", ".join(f"{count:,} {status}" for status, count in counts(rows).items())
        raise UserError(f"{path}: no face in {counted(len(rows), 'file')} ({found}; {rows[0].reason})")
    return [_source_face(row, row.vector) for row in good]


def _source_face(row: Row, vector: np.ndarray | None) -> SourceFace:
    assert row.face is not None
    assert row.hashes is not None
    assert vector is not None
    age = row.photograph.age
    return SourceFace(
        name=face_name(row),
        age=float("nan") if age is None else float(age),
        path=row.photograph.path,
        sha256=row.hashes.sha256,
        face=row.face,
        vector=vector,
    )

"""The photographed faces that are augmented: those of a prepared set, or of photographs as they are."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np

from vec2uage.augmentation.augmenter import Parent
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.base.seeds import numpy_generator
from vec2uage.config.validate import from_config
from vec2uage.data.balance import in_turn
from vec2uage.data.prepared import AGAIN, DESCRIPTION, Prepared, find_set, part_file
from vec2uage.data.readers import read
from vec2uage.data.splits import Part
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.extract import extract
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.gather import gather
from vec2uage.faces.pool import processes
from vec2uage.faces.prepare_settings import PrepareSettings
from vec2uage.faces.records import Photograph, Row
from vec2uage.faces.rows import counts, face_name
from vec2uage.faces.sources.walk import walk
from vec2uage.faces.store import open_store


def is_prepared(path: Path) -> bool:
    """Tell whether a path is a folder that `vec2uage.prepare` wrote."""
    return (path / DESCRIPTION).is_file()


def settings_of(prepared: Path, **how: Any) -> PrepareSettings:
    """Return the settings that a set was prepared with; `how` are the store, workers and device to use now."""
    found = find_set(prepared)
    if found is None:
        raise UserError(
            f"{prepared}: no folder that vec2uage.prepare wrote, or not a complete one: no readable {DESCRIPTION} in it"
        )
    options = found.options | how | {"overwrite": False, "output": ""}
    try:
        return from_config(options, PrepareSettings)
    except UserError as error:
        raise UserError(f"{prepared / DESCRIPTION}: {error}; {AGAIN}") from None


def rows_of(prepared: Path, part: Part | None) -> VectorSet:
    """Return the rows of a part of a set; None: of a set that is not divided."""
    if part is None:
        return read(part_file(prepared, "vectors"))
    parts = Prepared(path=str(prepared), age_range=None, label="exact").parts(0)
    return {"train": parts.train, "validation": parts.validation, "test": parts.test}[part]


def is_divided(prepared: Path) -> bool:
    """Tell whether a set has training, validation and test parts."""
    found = find_set(prepared)
    return found is not None and "train" in found.about["parts"]


def parents_in(vs: VectorSet, prepared: Path, settings: PrepareSettings, stop: Event) -> dict[str, Parent]:
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
        face_name(row): _parent(row, vs.vectors[number[face_name(row)]])
        for row in gathered.rows
        if row.status == "ok" and face_name(row) in number
    }


def parents_of_photographs(
    path: Path, how: Extraction, store: str, workers: int | Literal["auto"], device: str, stop: Event
) -> list[Parent]:
    """Find the largest face in a photograph, or in every photograph below a folder; their ages stay unknown.

    Raises UserError where there is none, and Interrupted.
    """
    photographs = walk(path, "photographs") if path.is_dir() else [Photograph(path, path.name, None)]
    with open_store(Path(store)) as opened:
        rows = extract(photographs, how, opened, processes(workers), device, stop).rows
    good = [row for row in rows if row.status == "ok"]
    if not good:
        found = ", ".join(f"{count:,} {status}" for status, count in counts(rows).items())
        raise UserError(f"{path}: no face in {counted(len(rows), 'file')} ({found}; {rows[0].reason})")
    return [_parent(row, row.vector) for row in good]


def spread(parents: Sequence[Parent], draws: int, seed: int) -> list[tuple[Parent, int]]:
    """Spread `draws` augmentations over parents: as many different ones as possible, all ages as evenly as possible."""
    floors = np.array([-1 if np.isnan(parent.age) else int(parent.age) for parent in parents])
    rank = np.empty(len(parents), dtype=np.int64)
    for age in np.unique(floors).tolist():
        rows = in_turn(floors, age, seed)
        rank[rows] = np.arange(len(rows))
    among_equals = numpy_generator(seed, "order of ages").permutation(len(parents))
    order = np.lexsort((among_equals, rank))[:draws].tolist()
    return [(parents[order[turn % len(order)]], turn // len(order)) for turn in range(draws)]


def _parent(row: Row, vector: np.ndarray | None) -> Parent:
    assert row.face is not None
    assert row.hashes is not None
    assert vector is not None
    age = row.photograph.age
    return Parent(
        name=face_name(row),
        age=float("nan") if age is None else float(age),
        path=row.photograph.path,
        sha256=row.hashes.sha256,
        face=row.face,
        vector=vector,
    )

"""Rows: what the store knows of each photograph, as a table for people and case tools, and the good ones as vectors."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from vec2uage.base.csv_file import write_csv
from vec2uage.data.vectorset import VectorSet, make_vector_set
from vec2uage.faces.detectors.base import choose
from vec2uage.faces.extraction import PIXELS, Extraction
from vec2uage.faces.records import Face, Hashes, Photograph, Refused, Row
from vec2uage.faces.store import Store

COLUMNS = (
    *("name", "source", "status", "reason", "age", "subject", "gender", "face"),
    *("left", "top", "right", "bottom", "score", "detector"),
)
HASHES = ("sha256", "sha1", "md5")


def rows_of(
    photograph: Photograph, hashes: Hashes, extraction: Extraction, store: Store, failure: Refused | None = None
) -> list[Row] | None:
    """Return the rows of a photograph's chosen faces as the store has them, None where it lacks anything.

    There is one row where no face is chosen or the photograph cannot be used: `failure` is why not, if the store does
    not know.
    """
    faces = failure or store.detection(hashes.sha256, extraction.detection_key)
    if faces is None:
        return None
    chosen = faces if isinstance(faces, Refused) else choose(faces, extraction.faces)
    signature = store.signature(hashes.sha256, PIXELS)
    if signature is None:
        if failure is None:
            return None
        signature = ""
    if isinstance(chosen, Refused):
        return [Row(photograph, chosen.status, chosen.reason, hashes, signature)]
    rows = []
    for number, face in enumerate(chosen, 1):
        row = _with_measures(
            Row(photograph, "ok", "", hashes, signature, number, face), hashes.sha256, face, extraction, store
        )
        if row is None:
            return None
        rows.append(row)
    return rows


def _with_measures(row: Row, sha256: str, face: Face, extraction: Extraction, store: Store) -> Row | None:
    """Return a face's row with its measures and vector, or why it has none; None where the store lacks them."""
    measures = extraction.stored_measures(store, sha256, face)
    if measures is None:
        return None
    if isinstance(measures, Refused):
        return replace(row, status=measures.status, reason=measures.reason)
    if refused := extraction.quality.check(measures):
        return replace(row, status=refused.status, reason=refused.reason, measures=measures)
    vector = extraction.stored_vector(store, sha256, extraction.face_key(face))
    return None if vector is None else replace(row, measures=measures, vector=vector)


def crop_files(rows: Sequence[Row], extraction: Extraction) -> set[Path]:
    """Return where the crops of good rows are kept; nowhere unless `extraction.keep_crops`."""
    if extraction.keep_crops is None:
        return set()
    return {
        extraction.crop_file(row.hashes.sha256, row.face)
        for row in rows
        if row.status == "ok" and row.hashes and row.face
    }


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write faces.csv: a row for every file, or for every face of it with `faces=all`.

    The columns of the quality measures depend on `quality`; a face's columns are empty where none was chosen.
    """
    measured = sorted({name for row in rows for name in row.measures or {}}.difference(COLUMNS))
    columns = (*COLUMNS, *measured, *HASHES)

    def cells(row: Row) -> list[object]:
        photograph = row.photograph
        values = {
            **{name: getattr(photograph, name) for name in ("name", "source", "subject", "gender")},
            "age": "" if photograph.age is None else f"{photograph.age:g}",
            "status": row.status,
            "reason": row.reason,
            "face": row.number if row.face else "",
            **(asdict(row.face) if row.face else {}),
            **(row.measures or {}),
            **(asdict(row.hashes) if row.hashes else {}),
        }
        return [_short(values.get(column, "")) for column in columns]

    write_csv(path, columns, map(cells, rows))


def to_vectors(rows: Sequence[Row], encoder: str) -> VectorSet | None:
    """Return the vectors `[N, D]` of the N good rows, None if there are none; `face_name` gives their names."""
    good = [row for row in rows if row.status == "ok"]
    if not good:
        return None
    return make_vector_set(
        np.stack([row.vector for row in good if row.vector is not None]),
        [row.photograph.age for row in good],
        names=[face_name(row) for row in good],
        subjects=[row.photograph.subject for row in good],
        source=[row.photograph.source for row in good],
        gender=[row.photograph.gender for row in good],
        encoder=encoder,
        where="the photographs",
    )


def face_name(row: Row) -> str:
    """Return what a row's vector is called: as the photograph, whose second face is `<name>#2`."""
    return row.photograph.name if row.number == 1 else f"{row.photograph.name}#{row.number}"


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many rows there are of each status, from the commonest to the rarest."""
    return dict(Counter(row.status for row in rows).most_common())


def _short(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value

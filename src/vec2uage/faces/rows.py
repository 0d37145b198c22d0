"""The rows of an extraction as a table for people and case tools, and the good ones as vectors."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from vec2uage.base.atomic import write_text
from vec2uage.data.vectorset import VectorSet, make_vector_set
from vec2uage.faces.extract import Row

COLUMNS = (
    *("name", "source", "status", "reason", "age", "subject", "gender", "face"),
    *("left", "top", "right", "bottom", "score", "detector"),
)
HASHES = ("sha256", "sha1", "md5")


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write faces.csv: a row for every file, or for every face of it with `faces=all`.

    The columns of the quality measures depend on `quality`; a face's columns are empty where none was chosen.
    """
    measured = sorted({name for row in rows for name in row.outcome.measures or {}})
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *measured, *HASHES], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        photograph, outcome = row.photograph, row.outcome
        values = {
            **{name: getattr(photograph, name) for name in ("name", "source", "subject", "gender")},
            "age": "" if photograph.age is None else f"{photograph.age:g}",
            "status": outcome.status,
            "reason": outcome.reason,
            "face": row.number if outcome.face else "",
            **(asdict(outcome.face) if outcome.face else {}),
            **(outcome.measures or {}),
            **(asdict(row.hashes) if row.hashes else {}),
        }
        writer.writerow({name: _short(value) for name, value in values.items()})
    write_text(path, text.getvalue())


def to_vectors(rows: Sequence[Row], encoder: str) -> VectorSet | None:
    """Return the vectors of all good rows, None if there are none; a photograph's second face is named `<name>#2`."""
    good = [row for row in rows if row.outcome.status == "ok"]
    if not good:
        return None
    return make_vector_set(
        np.stack([row.outcome.vector for row in good if row.outcome.vector is not None]),
        [row.photograph.age for row in good],
        names=[face_name(row) for row in good],
        subjects=[row.photograph.subject for row in good],
        source=[row.photograph.source for row in good],
        gender=[row.photograph.gender for row in good],
        encoder=encoder,
        where="the photographs",
    )


def face_name(row: Row) -> str:
    """Return what a row's vector is called."""
    return row.photograph.name if row.number == 1 else f"{row.photograph.name}#{row.number}"


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many rows there are of each status, from the commonest to the rarest."""
    return dict(Counter(row.outcome.status for row in rows).most_common())


def _short(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value

"""The tables of a case: a row for every face, and one for every file; as CSV for people and as Parquet for programs.

In CSV a name is visible text, of which neither a terminal nor a spreadsheet runs anything. In Parquet it is as it is:
`path`, and where not all names are text `path_bytes`, the very bytes of it.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from vec2uage.base.atomic import replacing
from vec2uage.base.csv_file import write_csv
from vec2uage.base.foreign_text import visible
from vec2uage.case.info import CaseInfo
from vec2uage.case.records import FaceResult, FileResult, Results
from vec2uage.data.storage import ENCODER_KEY

_ROWS = 8192
"""Rows that become Parquet at once, which bounds the memory that it takes."""

_INT, _FLOAT, _TEXT = pa.int64(), pa.float64(), pa.string()
_FILE = {"path": _TEXT, "path_bytes": pa.binary(), "entry": _INT}
_HASHES = {"md5": _TEXT, "sha1": _TEXT, "sha256": _TEXT}
_AGE = dict.fromkeys(("age", "low_90", "high_90"), _FLOAT)
_VERDICT = {"p_minor": _FLOAT, "flagged": pa.bool_(), "reliability": _TEXT, "distance": _FLOAT}
_BOX = dict.fromkeys(("left", "top", "right", "bottom", "turn"), _INT)
_FACE = {**_BOX, "seconds": _FLOAT, "score": _FLOAT, "detector": _TEXT}
_ROLL_UP = {"status": _TEXT, "reason": _TEXT, "size": _INT, "faces": _INT}
_ROLL_UP |= {"age": _FLOAT, "p_minor": _FLOAT, "flagged": pa.bool_()}
_NOT_IN_CSV = ("path_bytes", "vector")

Row = dict[str, object]


def write_tables(folder: Path, results: Results, info: CaseInfo) -> list[Path]:
    """Write predictions.csv, a row for every face, and files.csv, one for every file, and both as .parquet.

    Rows are in the order of the results, which are read three times and never held. The columns of the measures depend
    on `quality`, and `vector` is there where vectors are kept. Returns the four paths.
    """
    measures, has_vectors = _measured(results)
    face = {**_FILE, "face": _INT, **_AGE, **_VERDICT, **_FACE}
    face |= {name: _FLOAT for name in measures if name not in face}
    face |= {**_HASHES, "model": _TEXT, "encoder": _TEXT}
    if has_vectors:
        face["vector"] = pa.list_(pa.float32())
    made_by: Row = {"model": info.model_digest, "encoder": info.vectors_encoder}
    faces = (_face_row(result, face) | made_by for result in results() for face in result.faces)
    metadata = {ENCODER_KEY: info.vectors_encoder.encode()}
    return [
        *_write(folder / "predictions", pa.schema(list(face.items()), metadata), faces),
        *_write(folder / "files", pa.schema(list({**_FILE, **_ROLL_UP, **_HASHES}.items())), map(_file_row, results())),
    ]


def _measured(results: Results) -> tuple[list[str], bool]:
    """Return the names of all measures, and whether there are vectors."""
    names, has_vectors = set[str](), False
    for result in results():
        for face in result.faces:
            names.update(face.measures)
            has_vectors |= face.vector is not None
    return sorted(names), has_vectors


def file_cells(result: FileResult) -> Row:
    """Return what files.csv has of a file, by column, but for its name."""
    roll_up = {name: getattr(result, name) for name in _ROLL_UP if name != "faces"}
    return {**_hashes(result), **roll_up, "faces": len(result.faces)}


def face_cells(found: FaceResult) -> Row:
    """Return what predictions.csv has of a face alone, by column; None for NaN."""
    cells = {
        **found.measures,  # of which none may take the place of what follows
        "face": found.number,
        **dict(zip(_AGE, (found.age, found.low, found.high), strict=True)),
        **{name: getattr(found, name) for name in _VERDICT},
        **{name: getattr(found.face, name) for name in _FACE},
    }
    return {name: None if isinstance(cell, float) and math.isnan(cell) else cell for name, cell in cells.items()}


def _file_row(result: FileResult) -> Row:
    return {**_name(result), **file_cells(result)}


def _face_row(result: FileResult, found: FaceResult) -> Row:
    vector = None if found.vector is None else np.frombuffer(found.vector, "<f4")
    return {**face_cells(found), **_name(result), **_hashes(result), "vector": vector}


def _name(result: FileResult) -> Row:
    name = result.file.name
    return {"path": name, "path_bytes": _bytes(name), "entry": result.number}


def _hashes(result: FileResult) -> Row:
    return {algorithm: getattr(result.hashes, algorithm, None) for algorithm in _HASHES}


def _write(stem: Path, schema: pa.Schema, rows: Iterable[Row]) -> tuple[Path, Path]:
    """Write a table twice, both while its rows pass by once."""
    of_csv, of_parquet = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.parquet")
    heads = [name for name in schema.names if name not in _NOT_IN_CSV]
    with replacing(of_parquet) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        passing = _passing(rows, schema, writer)
        write_csv(of_csv, heads, ([_shown(row[head]) for head in heads] for row in passing))
    return of_csv, of_parquet


def _passing(rows: Iterable[Row], schema: pa.Schema, writer: parquet.ParquetWriter) -> Iterator[Row]:
    rows = iter(rows)
    while block := [{name: row.get(name) for name in schema.names} for row in islice(rows, _ROWS)]:
        plain = [{name: _without_surrogates(cell) for name, cell in row.items()} for row in block]
        writer.write_table(pa.Table.from_pylist(plain, schema))
        yield from block


def _without_surrogates(cell: object) -> object:
    return _escaped(cell, "[\ud800-\udfff]") if isinstance(cell, str) else cell


def _shown(cell: object) -> object:
    """Return a cell as CSV shows it."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return visible(cell) if isinstance(cell, str) else cell


def _bytes(name: str) -> bytes:
    r"""Return the bytes of a name; half a surrogate pair, which a list may hold but no file system, as `\ud800`."""
    return os.fsencode(_escaped(name, "[\ud800-\udc7f\udd00-\udfff]"))


def _escaped(text: str, characters: str) -> str:
    return re.sub(characters, lambda found: repr(found[0])[1:-1], text)

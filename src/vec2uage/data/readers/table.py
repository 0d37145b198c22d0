"""Reads tables of vectors, Parquet and CSV, with one row for each face."""

import logging
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vec2uage.base.errors import UserError
from vec2uage.data.readers.arrow import agreed
from vec2uage.data.storage import ENCODER_KEY
from vec2uage.data.vectorset import BadRows, VectorSet, as_gender, make_vector_set

log = logging.getLogger(__name__)

LISTS = ("vector", "embedding")
TEXTS = {"name": "names", "subject": "subjects", "gender": "gender", "source": "source", "parent": "parents"}
ELEMENT = re.compile(r"v\d+")


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read a table of vectors, and optionally `age` (years), `name`, `subject`, `gender`, `source` and `parent`.

    A vector is one list in the column `vector` or `embedding` (Parquet), or it lies in columns `v0`, `v1`, ...
    Genders are male, female, m, f or empty, in any case. The encoder is `encoder` or, in Parquet, the schema's
    metadata "vec2uage.encoder". Names default to "<source>:<row>". Raises UserError for a damaged file, for
    missing columns or values of another type, and for bad rows.
    """
    import pyarrow as pa

    try:
        columns, stored = (_csv if path.suffix.lower() == ".csv" else _parquet)(path)
        texts: dict[str, Any] = {TEXTS[name]: _texts(columns[name]) for name in TEXTS if name in columns}
        ages = _floats(columns["age"]) if "age" in columns else None
        vectors = _vectors(columns)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a readable {path.suffix} table ({reason})") from None
    texts["gender"] = [as_gender(text, str(path)) for text in texts.get("gender", [""] * len(vectors))]
    texts.setdefault("source", path.stem)
    return make_vector_set(
        vectors, ages, **texts, encoder=agreed(path, stored, encoder), bad_rows=bad_rows, where=str(path)
    )


def _csv(path: Path) -> tuple[dict[str, Any], str]:
    import pyarrow as pa
    from pyarrow import csv

    with csv.open_csv(path) as opened:
        wanted = _wanted(opened.schema.names, path)
    types = {name: pa.string() if name in TEXTS else pa.float32() for name in wanted}
    options = csv.ConvertOptions(column_types=types, include_columns=wanted)
    return _by_name(csv.read_csv(path, convert_options=options)), "unknown"


def _parquet(path: Path) -> tuple[dict[str, Any], str]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        wanted = _wanted(file.schema_arrow.names, path)
        stored = (file.schema_arrow.metadata or {}).get(ENCODER_KEY, b"unknown").decode()
        return _by_name(file.read(columns=wanted)), stored


def _by_name(table: Any) -> dict[str, Any]:
    return {name: column.combine_chunks() for name, column in zip(table.column_names, table.columns, strict=True)}


def _wanted(names: list[str], path: Path) -> list[str]:
    """Return which columns are read, those of the vector in order."""
    lists = [name for name in LISTS if name in names]
    elements = [f"v{position}" for position in range(sum(ELEMENT.fullmatch(name) is not None for name in names))]
    vector = lists or elements
    needed = ["age"] * ("age" in names) + vector
    if len(vector) == 0 or len(lists) > 1 or any(names.count(name) != 1 for name in needed):
        held = ", ".join(name[:40] for name in names[:20]) + (", ..." if len(names) > 20 else "")
        raise UserError(
            f"{path}: needed are columns age, if it is known, and either vector (or embedding), a list, or v0, v1, ... "
            f"without gaps, each once; it has {held or 'none'}"
        )
    wanted = [*needed, *(name for name in TEXTS if names.count(name) == 1)]
    if ignored := sorted(set(names) - set(wanted)):
        log.warning("%s: columns that are not read: %s", path, ", ".join(ignored[:20]))
    return wanted


def _vectors(columns: dict[str, Any]) -> np.ndarray | list[np.ndarray]:
    """Return rows as one matrix [N, D], or as a list of arrays where their lengths differ."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = next((name for name in LISTS if name in columns), None)
    if name is None:
        elements = [column for name, column in columns.items() if ELEMENT.fullmatch(name)]
        matrix = np.empty((len(elements[0]), len(elements)), dtype=np.float32)
        for position, column in enumerate(elements):
            matrix[:, position] = _floats(column)
        return matrix
    lists = columns[name].cast(pa.large_list(pa.float32()), safe=False)
    numbers = _floats(pc.list_flatten(lists))
    lengths = _numpy(pc.list_value_length(lists), missing=0).tolist()
    if len(set(lengths)) == 1 and lengths[0]:
        return numbers.reshape(len(lengths), -1)
    return np.split(numbers, np.cumsum(lengths)[:-1]) if lengths else []


def _texts(column: Any) -> list[str]:
    """Return a column as texts, "" where missing, which pandas writes as NaN."""
    import pyarrow as pa

    missing = column.is_null(nan_is_null=True).to_pylist()
    return ["" if gone else text for text, gone in zip(column.cast(pa.string()).to_pylist(), missing, strict=True)]


def _floats(column: Any) -> Float32[np.ndarray, " N"]:
    """Return a column as numbers, NaN where missing."""
    import pyarrow as pa

    return _numpy(column.cast(pa.float32(), safe=False), missing=math.nan)


def _numpy(column: Any, missing: float | int) -> np.ndarray:
    # Arrow's to_numpy and fill_null import pandas, half a second of every start
    if column.null_count == 0:
        return np.from_dlpack(column)
    present = np.from_dlpack(column.is_valid().cast("uint8")).astype(bool)
    values = np.from_dlpack(column.drop_null())
    filled = np.full(len(column), missing, dtype=values.dtype)
    filled[present] = values
    return filled

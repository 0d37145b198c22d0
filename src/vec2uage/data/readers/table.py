"""Reads tables of vectors, Parquet and CSV, with one row for each face."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from vec2uage.base.errors import UserError
from vec2uage.data.cells import as_number, as_vector
from vec2uage.data.readers.arrow import agreed
from vec2uage.data.readers.csv_file import read_csv
from vec2uage.data.readers.hostile import check_size
from vec2uage.data.readers.table_columns import LISTS, TEXTS, is_element, sources, wanted
from vec2uage.data.storage import ENCODER_KEY
from vec2uage.data.vectorset import BadRows, VectorSet, make_vector_set

ROWS = 1024  # of a Parquet file that are read at once


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read a table of vectors, and optionally `age` (years), `name`, `subject`, `gender`, `source` and `parent`.

    A vector is one cell in the column `vector` or `embedding`, a list (Parquet) or a text such as `[0.1, 0.2]`, or it
    lies in columns `v0`, `v1`, ... Genders are male, female, m, f or empty, in any case. The encoder is `encoder` or,
    in Parquet, the schema's metadata "vec2uage.encoder". Names default to "<source>:<row>". Raises UserError for a
    damaged file, for missing columns or values of another type, and for bad rows.
    """
    import pyarrow as pa

    is_csv = path.suffix.lower() == ".csv"
    try:
        columns, stored = (
            (read_csv(path, lambda headers: wanted(headers, path), is_element), "unknown") if is_csv else _parquet(path)
        )
        vectors = _vectors(columns, path)
        cells = {name: column_values(columns[name]) for name in ("age", *TEXTS) if name in columns}
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a readable {path.suffix} table ({reason})") from None
    ages = cells.pop("age", None)
    texts: dict[str, Any] = {TEXTS[name]: values for name, values in cells.items()}
    texts["source"] = sources(texts.get("source"), path)
    return make_vector_set(
        vectors, ages, **texts, encoder=agreed(path, stored, encoder), bad_rows=bad_rows, where=str(path)
    )


def _parquet(path: Path) -> tuple[dict[str, Any], str]:
    import pyarrow as pa
    from pyarrow import parquet

    batches, unfolded = [], 0
    with parquet.ParquetFile(path) as file:
        names = wanted(file.schema_arrow.names, path)
        schema = file.schema_arrow
        stored = (schema.metadata or {}).get(ENCODER_KEY, b"unknown").decode()
        # In parts, as Arrow gives a run of equal values, which a file holds as one, all the memory they stand for.
        for batch in file.iter_batches(ROWS, columns=list(names)):
            unfolded += batch.nbytes
            check_size(path, unfolded, path.stat().st_size)
            batches.append(batch)
    table = pa.Table.from_batches(batches, schema=batches[0].schema if batches else pa.schema(map(schema.field, names)))
    return {names[name]: table[name].combine_chunks() for name in table.column_names}, stored


def column_values(column: Any) -> list[Any]:
    """Return the values of a column; floats as what they are, since those of 32 bits cannot tell all numbers apart."""
    import pyarrow as pa

    column = _plain(column)
    return list(_numpy(column, missing=math.nan)) if pa.types.is_floating(column.type) else column.to_pylist()


def _vectors(columns: dict[str, Any], path: Path) -> np.ndarray | list[np.ndarray]:
    """Return rows as one matrix [N, D], or as a list of arrays where their lengths differ."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = next((name for name in LISTS if name in columns), None)
    if name is None:
        elements = [name for name in columns if is_element(name)]
        matrix = np.empty((len(columns[elements[0]]), len(elements)), dtype=np.float32)
        for position, element in enumerate(elements):
            matrix[:, position] = _floats(columns[element], f"{path}: column {element}")
        return matrix
    column = _plain(columns[name])
    if _is_text(column.type):
        return _text_vectors(column.to_pylist(), f"{path}: column {name}")
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or _is_fixed(column.type)):
        raise UserError(f"{path}: column {name} holds {column.type}, not lists of numbers")
    _check_numeric(column.type.value_type, f"{path}: column {name}")
    lists = column.cast(pa.large_list(pa.float32()), safe=False)
    numbers = _numpy(pc.list_flatten(lists), missing=math.nan)
    lengths = _numpy(pc.list_value_length(lists), missing=0).tolist()
    if len(set(lengths)) == 1 and lengths[0]:
        return numbers.reshape(len(lengths), -1)
    return np.split(numbers, np.cumsum(lengths)[:-1]) if lengths else []


def _text_vectors(texts: list[str | None], what: str) -> list[np.ndarray]:
    """Return the vectors that texts say, an empty one where it says none; UserError where all say none."""
    vectors, unread = [], None
    for text in texts:
        try:
            vectors.append(as_vector(text or ""))
        except ValueError:
            vectors.append(np.empty(0, dtype=np.float32))
            unread = text if unread is None else unread
    if unread is not None and not any(len(vector) for vector in vectors):
        raise UserError(
            f"{what}: {unread[:60]!r} is no vector: write it as [0.1, 0.2], or with one column per element, v0, v1, ..."
        )
    return vectors


def _floats(column: Any, what: str) -> np.ndarray:
    """Return a column as float32, NaN where missing or a text that says no number."""
    import pyarrow as pa

    column = _plain(column)
    if not _is_text(column.type):
        _check_numeric(column.type, what)
        return _numpy(column.cast(pa.float32(), safe=False), missing=math.nan)
    return np.array([_number(text or "", what) for text in column.to_pylist()], dtype=np.float32)


def _number(text: str, what: str) -> float:
    try:
        return as_number(text)
    except ValueError:
        if text.count(",") == 1 and text.replace(",", "").strip("+- ").isdecimal():
            raise UserError(f"{what}: {text[:40]!r} has a decimal comma: write numbers with a point") from None
        return math.nan


def _plain(column: Any) -> Any:
    import pyarrow as pa

    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _check_numeric(kind: Any, what: str) -> None:
    """Raise UserError for a type that Arrow would cast to numbers although it means something else."""
    import pyarrow as pa

    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    if not any(check(kind) for check in is_number):
        raise UserError(f"{what} holds {kind}, not numbers")


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_fixed(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_fixed_size_list(kind)


def _numpy(column: Any, missing: float | int) -> np.ndarray:
    # Arrow's to_numpy and fill_null import pandas, half a second of every start
    if column.null_count == 0:
        return np.from_dlpack(column)
    present = np.from_dlpack(column.is_valid().cast("uint8")).astype(bool)
    values = np.from_dlpack(column.drop_null())
    filled = np.full(len(column), missing, dtype=values.dtype)
    filled[present] = values
    return filled

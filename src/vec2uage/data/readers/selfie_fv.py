"""Reads Selfie-FV: pickled pandas tables of ages and FaceNet vectors, one for training and one for test."""

import logging
import math
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import BadRows, VectorSet, as_text, make_vector_set
from vec2uage.importers.pandas_pickle import columns

log = logging.getLogger(__name__)

SUFFIXES = (".pkl", ".pickle", ".p")
COLUMNS = ("age", "uuids", "filename", "testset", "embedding")


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read one pickled DataFrame, or all of a folder one after the other.

    Read are `age` (years), `uuids` (subjects), `filename` (names) and `embedding` (each a list or array of D
    numbers). Selfie-FV's own split, the files and `testset`, is only reported in the log. The pickle is taken
    apart without running it. Raises UserError for a file that asks for anything but what such a table needs, is
    damaged or lacks a column, and for bad rows.
    """
    files = [path] if path.is_file() else sorted(file for file in path.glob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(
            f"{path}: a folder without pickled tables of Selfie-FV ({', '.join(SUFFIXES)}): name a file of vectors, or "
            "make vectors of photographs with vec2uage.prepare"
        )
    ages: list[float] = []
    subjects: list[str] = []
    names: list[str] = []
    vectors: list[Float32[np.ndarray, "*D"]] = []
    for file in files:
        table = columns(file, COLUMNS)
        ages += _numbers([math.nan if age is None else age for age in table["age"]], f"{file}: age")
        subjects += [_text(value, f"{file}: uuids") for value in table["uuids"]]
        names += [_text(value, f"{file}: filename") for value in table["filename"]]
        vectors += [_vector(value, f"{file}: embedding {row}") for row, value in enumerate(table["embedding"])]
        test = sum(bool(value) for value in table["testset"])
        log.info("%s: %s rows, of them marked as test set: %s", file, f"{len(table['age']):,}", f"{test:,}")
    return make_vector_set(
        vectors,
        ages,
        names=names,
        subjects=subjects,
        source=path.stem,
        encoder=encoder or "unknown",
        bad_rows=bad_rows,
        where=str(path),
    )


def _vector(value: object, what: str) -> Float32[np.ndarray, "*D"]:
    with np.errstate(over="ignore"):  # too large for float32 becomes Inf, which is a bad row
        return np.asarray(value if isinstance(value, np.ndarray) else _numbers(value, what), dtype=np.float32)


def _numbers(values: Any, what: str) -> "array[float]":
    """Return a flat list as numbers; lists in lists are not followed, as they may hold themselves."""
    try:
        return array("d", values)
    except (TypeError, OverflowError):
        raise UserError(f"{what} is not of numbers") from None


def _text(value: object, what: str) -> str:
    """Return a text or number as text, "" where missing; of anything else the text may be endless."""
    if not isinstance(value, str | int | np.integer | float | None):
        raise UserError(f"{what} is not of texts")
    return as_text(value)

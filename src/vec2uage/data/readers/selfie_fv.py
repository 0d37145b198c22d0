"""Reads Selfie-FV: pickled pandas tables of ages and FaceNet vectors, one for training and one for test."""

import logging
import math
from array import array
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vec2uage.base.errors import UserError
from vec2uage.data.cells import as_vector, numbers
from vec2uage.data.vectorset import BadRows, VectorSet, make_vector_set
from vec2uage.importers.pandas_pickle import columns

log = logging.getLogger(__name__)

SUFFIXES = (".pkl", ".pickle", ".p")
COLUMNS = ("age", "uuids", "filename", "testset", "embedding")


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read one pickled DataFrame, or all of a folder one after the other.

    Read are `age` (years), `uuids` (subjects), `filename` (names) and `embedding` (each a list, array or text of D
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
    ages: list[object] = []
    subjects: list[object] = []
    names: list[object] = []
    vectors: list[Float32[np.ndarray, "*D"]] = []
    for file in files:
        table = columns(file, COLUMNS)
        ages += list(table["age"])
        subjects += list(table["uuids"])
        names += list(table["filename"])
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
    """Return one embedding, an empty one where it is missing or a text that says none.

    Lists in lists are not followed: they may hold themselves.
    """
    if value is None or (type(value) is float and math.isnan(value)):
        return np.empty(0, dtype=np.float32)
    if isinstance(value, str):
        try:
            return as_vector(value)
        except ValueError:
            return np.empty(0, dtype=np.float32)
    if isinstance(value, list | tuple) and set(map(type, value)) <= {int, float}:
        try:
            value = np.array(array("d", value))
        except OverflowError:
            value = None
    if not isinstance(value, np.ndarray):
        raise UserError(f"{what} is not of numbers")
    return numbers(value, what)

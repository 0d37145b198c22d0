"""Reads NumPy archives of vectors and, where known, ages, named so or by position (`arr_0`, `arr_1`)."""

import logging
import math
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from vec2uage.base.errors import UserError
from vec2uage.data.readers.hostile import check_size
from vec2uage.data.readers.table_columns import sources
from vec2uage.data.vectorset import BadRows, VectorSet, make_vector_set

log = logging.getLogger(__name__)

LAYOUTS = (("vectors", "ages"), ("arr_0", "arr_1"))
OPTIONAL = ("names", "subjects", "gender", "source", "parents")


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read vectors [N, D], and ages [N] in years, `names`, `subjects`, `gender`, `source`, `parents` [N] where present.

    Names default to "<stem>:<row>". The file does not say which encoder made it: `encoder` does. Pickled
    content is never loaded, other arrays are not read. Raises UserError for a damaged or foreign file, also one that
    says it is larger than it can be, and for bad rows.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays, others = _arrays(archive, path)
    except UserError:
        raise
    except Exception as error:  # damaged archives raise whatever their bytes happen to mean
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: not a readable .npz file of plain arrays ({reason})") from None
    layout = next((keys for keys in LAYOUTS if keys[0] in arrays), None)
    if layout is None:
        held = sorted({*arrays, *others})
        raise UserError(f"{path}: holds {held[:20]}, but vectors and, if known, ages (or arr_0, arr_1) are needed")
    if ignored := sorted({*others, *arrays} - {*layout, *OPTIONAL}):
        log.warning("%s: arrays that are not read: %s", path, ", ".join(ignored[:20]))
    vectors, ages = layout
    optional: dict[str, Any] = {key: arrays[key] for key in OPTIONAL if key in arrays}
    for key, values in optional.items():
        if values.ndim != 1:
            raise UserError(f"{path}: {key} of shape {values.shape}: give one for each vector")
    optional["source"] = sources(optional.get("source"), path)
    return make_vector_set(
        arrays[vectors],
        arrays.get(ages),
        **optional,
        encoder=encoder or "unknown",
        bad_rows=bad_rows,
        where=str(path),
    )


def _arrays(archive: zipfile.ZipFile, path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the arrays that are read by their names, and the names of the others."""
    members = {member.filename: member for member in archive.infolist()}
    named = Counter(member.filename.removesuffix(".npy") for member in archive.infolist())
    if twice := [name for name, count in named.items() if count > 1]:
        raise UserError(f"{path}: holds two arrays of the name {twice[0]!r}")
    wanted = [name for name in (*sum(LAYOUTS, ()), *OPTIONAL) if f"{name}.npy" in members]
    arrays = {name: _array(archive, members[f"{name}.npy"], path) for name in wanted}
    return arrays, sorted(set(named) - set(wanted))


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """Read one array, after its header and the archive agree on its size."""
    check_size(path, member.file_size, member.compress_size)
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        items = math.prod(shape)
        if dtype.hasobject or dtype.itemsize == 0 or file.tell() + items * dtype.itemsize != member.file_size:
            raise ValueError(f"{member.filename} is of objects, or its shape {shape} and type do not fill its bytes")
    with archive.open(member) as file:
        array = npy.read_array(file, allow_pickle=False)
    if dtype.kind == "U" and (np.frombuffer(array.tobytes(), f"{dtype.byteorder}u4") > sys.maxunicode).any():
        raise ValueError(f"{member.filename} holds numbers that are no characters")  # NumPy would fail on them later
    return array

"""Reads NumPy archives of vectors and, where known, ages, named so or by position (`arr_0`, `arr_1`)."""

import logging
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import BadRows, VectorSet, make_vector_set

log = logging.getLogger(__name__)

LAYOUTS = (("vectors", "ages"), ("arr_0", "arr_1"))
OPTIONAL = ("names", "subjects", "gender")


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read vectors [N, D], and ages [N] in years, `names`, `subjects` and `gender` [N] where present.

    Names default to "<stem>:<row>". The file does not say which encoder made it: `encoder` does. Pickled
    content is never loaded. Raises UserError for a damaged or foreign file and for bad rows.
    """
    try:
        with path.open("rb") as file:
            arrays = dict(np.load(file, allow_pickle=False).items())
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not a readable .npz file of plain arrays ({error})") from None
    layout = next((keys for keys in LAYOUTS if keys[0] in arrays), None)
    if layout is None:
        raise UserError(f"{path}: holds {sorted(arrays)}, but vectors and, if known, ages (or arr_0, arr_1) are needed")
    if ignored := sorted(arrays.keys() - {*layout, *OPTIONAL}):
        log.warning("%s: arrays that are not read: %s", path, ", ".join(ignored))
    vectors, ages = layout
    optional: dict[str, Any] = {key: arrays[key] for key in OPTIONAL if key in arrays}
    return make_vector_set(
        arrays[vectors],
        arrays.get(ages),
        **optional,
        source=path.stem,
        encoder=encoder or "unknown",
        bad_rows=bad_rows,
        where=str(path),
    )

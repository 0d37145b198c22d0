"""One reader for each file format of vectors; `read` picks it by the file's suffix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.data.readers import arrow, npz
from vec2uage.data.vectorset import VectorSet

READERS: dict[str, Callable[..., VectorSet]] = {
    ".arrow": arrow.read,
    ".feather": arrow.read,
    ".npz": npz.read,
}


def read(path: Path, **how: Any) -> VectorSet:
    """Read the vectors of a file; `how` goes to the reader of its format.

    Raises UserError when the file is missing, of an unknown format or damaged.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: no reader for {path.suffix!r} files; known are {', '.join(READERS)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file (dataset.path)")
    return reader(path, **how)

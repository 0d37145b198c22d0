"""One reader for each file format of vectors; `read` picks it by the file's suffix."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.data.readers import arrow, json, npz, selfie_fv, table
from vec2uage.data.vectorset import VectorSet

READERS: dict[str, Callable[..., VectorSet]] = {
    ".arrow": arrow.read,
    ".feather": arrow.read,
    ".npz": npz.read,
    ".json": json.read,
    ".parquet": table.read,
    ".csv": table.read,
    **dict.fromkeys(selfie_fv.SUFFIXES, selfie_fv.read),
}


def read(path: Path, **how: Any) -> VectorSet:
    """Read the vectors of a file, or of a folder of Selfie-FV's pickles; `how` goes to the reader of its format.

    Raises UserError when the file is missing, of an unknown format or damaged.
    """
    return reader_of(path)(path, **how)


def reader_of(path: Path) -> Callable[..., VectorSet]:
    """Return the reader of a file or folder; UserError when it is missing or of an unknown format."""
    if (path / "dataset.json").is_file():
        raise UserError(f"{path}: a set of vec2uage.prepare, which dataset=prepared reads")
    if path.is_dir():
        return selfie_fv.read
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: no reader for {path.suffix!r} files; known are {', '.join(READERS)}")
    return reader

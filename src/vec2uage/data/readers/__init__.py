"""One reader for each file format of vectors; `read` picks it by the file's suffix."""

from collections.abc import Callable
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.data.readers import arrow, json, npz, selfie_fv, table
from vec2uage.data.vectorset import BadRows, VectorSet

Reader = Callable[[Path, str | None, BadRows], VectorSet]

READERS: dict[str, Reader] = {
    ".arrow": arrow.read,
    ".feather": arrow.read,
    ".npz": npz.read,
    ".json": json.read,
    ".parquet": table.read,
    ".pq": table.read,
    ".csv": table.read,
    **dict.fromkeys(selfie_fv.SUFFIXES, selfie_fv.read),
}


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse", pattern: str | None = None) -> VectorSet:
    """Read the vectors of a file, or of a folder of Selfie-FV's pickles.

    `encoder` names the network that made them where the file does not say; `bad_rows` are those that
    `vectorset.make_vector_set` cannot use; `pattern` says how the names in JSON tell ages (see `naming.naming`), other
    formats have columns for these. Raises UserError when the file is missing, of an unknown format, damaged, or made by
    another encoder.
    """
    reader = reader_of(path)
    if reader is json.read:
        return json.read(path, encoder, bad_rows, pattern)
    if pattern is not None:
        raise UserError(f"{path}: the option pattern is for JSON, whose names tell ages: leave it out")
    return reader(path, encoder, bad_rows)


def reader_of(path: Path) -> Reader:
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

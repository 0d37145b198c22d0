"""Reads vec2uage's own vector files (Arrow IPC) and checks their rows."""

from pathlib import Path

from vec2uage.base.encoder import completed
from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.vectorset import COLUMNS, BadRows, VectorSet, make_vector_set


def read(path: Path, encoder: str | None = None, bad_rows: BadRows = "refuse") -> VectorSet:
    """Read a file written by `storage.save`; `encoder` fills in what the file does not say.

    Vectors stay in the mapped file unless bad rows are dropped. Raises UserError for a damaged or foreign
    file, for bad rows, and when the file names another encoder.
    """
    stored = storage.load(path)
    encoder = agreed(path, stored.encoder, encoder)
    columns = {name: getattr(stored, name) for name in COLUMNS}
    return make_vector_set(**columns, encoder=encoder, bad_rows=bad_rows, where=str(path))


def agreed(path: Path, stored: str, stated: str | None) -> str:
    """Return the encoder that the file names, with what the user knows beside; UserError where both differ."""
    if stated is None:
        return stored
    encoder = completed(stated, stored)
    if encoder is None:
        raise UserError(f"{path}: made by encoder {stored!r}, but the option encoder says {stated!r}; leave it out")
    return encoder

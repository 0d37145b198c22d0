"""A run's `metrics.csv`: a row for every epoch, appended as it ends."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from vec2uage.base.access import open_to_write
from vec2uage.base.atomic import name_in_errors
from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy, lock


def metrics_digest(path: Path, epochs: int) -> str:
    """Return the SHA-256 of the first `epochs` epochs in a `metrics.csv`, by which a checkpoint knows its own."""
    try:
        with path.open("rb") as file:
            content = _first_epochs(file, epochs)
    except OSError:
        content = b""
    return hashlib.sha256(content).hexdigest()


def read_score(path: Path, name: str, epochs: int) -> list[float]:
    """Return a score of the first `epochs` epochs in a `metrics.csv`, but for those that were no finite number.

    Raises UserError where the file has no such column, or is gone or damaged.
    """
    try:
        return [float(row[name]) for row in read_csv(path)[:epochs] if row[name]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {name} cannot be read ({type(error).__name__}): delete the run's folder") from None


def _first_epochs(file: IO[bytes], epochs: int) -> bytes:
    """Return the header and the rows of the first epochs, nothing for none."""
    return b"".join(file.readlines()[: epochs + 1]) if epochs else b""


class MetricsLog:
    """Appends an epoch at a time to a `metrics.csv`, each on disk when `append` returns, in full precision.

    Columns are the epoch, the learning rate and the scores, by the names that they have in `result.json`. The first
    `epochs` rows are kept, which must be there (`metrics_digest`); those after them are of epochs that will be trained
    again. While the log is open, no other process can open it: Busy.
    """

    def __init__(self, path: Path, epochs: int = 0) -> None:
        self._path = path
        self._stream = open_to_write(path, "a+b")
        try:
            lock(self._stream, path.parent)
        except Busy:
            self._stream.close()
            raise
        self._stream.seek(0)
        kept = _first_epochs(self._stream, epochs)
        self._stream.truncate(len(kept))
        self._is_new = not kept

    def append(self, epoch: int, lr: float, scores: Mapping[str, float]) -> None:
        """Append one epoch, always with the same scores; the cell of one that is no finite number is empty."""
        if self._is_new:
            self._write("epoch", "lr", *scores)
            self._is_new = False
        self._write(str(epoch), repr(float(lr)), *map(_text, scores.values()))

    @property
    def file(self) -> IO[bytes]:
        """The open file, which holds the folder."""
        return self._stream

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, *fields: str) -> None:
        with name_in_errors(self._path):
            self._stream.write((",".join(fields) + "\n").encode())
            self._stream.flush()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _text(score: float) -> str:
    return repr(float(score)) if math.isfinite(score) else ""

"""What was computed of each photograph, in one SQLite file: hashes, detections, measures and vectors, never pixels.

Everything is keyed by the photograph's content (SHA-256) and by the fingerprint of what computed it, so that a second
run finds what the first one did, and a changed detector leaves vectors of unchanged boxes alone.
"""

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from vec2uage.base.access import make_folder, open_to_write
from vec2uage.base.errors import UserError
from vec2uage.faces.records import Face, Hashes, Measures, Points, Refused

_TABLES = {
    "files": "path BLOB PRIMARY KEY, state TEXT, sha256 TEXT, sha1 TEXT, md5 TEXT, digest BLOB",
    "signatures": "sha256 TEXT, version TEXT, signature TEXT, digest BLOB, PRIMARY KEY (sha256, version)",
    "detections": "sha256 TEXT, detector TEXT, found TEXT, digest BLOB, PRIMARY KEY (sha256, detector)",
    "measures": "sha256 TEXT, face TEXT, measured TEXT, digest BLOB, PRIMARY KEY (sha256, face)",
    "vectors": "sha256 TEXT, face TEXT, encoder TEXT, vector BLOB, digest BLOB, PRIMARY KEY (sha256, face, encoder)",
}
_WAIT_SECONDS = 60  # for another process that is writing to the same store
T = TypeVar("T")
log = logging.getLogger(__name__)


class Store:
    """An open store; what was `put` lasts, whatever happens to the process, and other processes can put, too."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._is_known_damaged = False

    def hashes(self, path: bytes, state: str) -> Hashes | None:
        """Return the hashes of a file whose `state` (see `hashing.state_of`) is that in which they were put."""
        return self._find("files", "sha256, sha1, md5", Hashes, path=path, state=state)

    def put_hashes(self, path: bytes, state: str, hashes: Hashes) -> None:
        self._put("files", path, state, *astuple(hashes))

    def detection(self, sha256: str, detector: str) -> list[Face] | Refused | None:
        """Return the faces a detector found, why the photograph could not be read, or None: not detected yet."""
        return self._find("detections", "found", _detection, sha256=sha256, detector=detector)

    def put_detection(self, sha256: str, detector: str, found: list[Face] | Refused) -> None:
        text = {"refused": found.args} if isinstance(found, Refused) else {"faces": [astuple(face) for face in found]}
        self._put("detections", sha256, detector, json.dumps(text))

    def signature(self, sha256: str, version: str) -> str | None:
        """Return the signature of a photograph (see `faces.signature`), "" where it cannot be decoded, or None."""
        return self._find("signatures", "signature", str, sha256=sha256, version=version)

    def put_signature(self, sha256: str, version: str, signature: str) -> None:
        self._put("signatures", sha256, version, signature)

    def measures(self, sha256: str, face: str) -> Measures | Refused | None:
        """Return what was measured of a face, why it cannot be cropped, or None: not measured yet."""
        return self._find("measures", "measured", _measures, sha256=sha256, face=face)

    def put_measures(self, sha256: str, face: str, measured: Measures | Refused) -> None:
        text = {"refused": measured.args} if isinstance(measured, Refused) else measured
        self._put("measures", sha256, face, json.dumps(text))

    def vector(self, sha256: str, face: str, encoder: str) -> Float32[np.ndarray, " D"] | None:
        """Return the vector of a face, or None: not embedded yet."""
        return self._find("vectors", "vector", _vector, sha256=sha256, face=face, encoder=encoder)

    def put_vector(self, sha256: str, face: str, encoder: str, vector: Float32[np.ndarray, " D"]) -> None:
        self._put("vectors", sha256, face, encoder, vector.astype("<f4").tobytes())

    def _find(self, table: str, columns: str, read: Callable[..., T], **key: object) -> T | None:
        """Return what `read` makes of the columns of a row, None where there is none or it is damaged."""
        where = " AND ".join(f"{name}=?" for name in key)
        query = f"SELECT {columns}, digest FROM {table} WHERE {where}"
        row = self._connection.execute(query, tuple(key.values())).fetchone()
        if row is None:
            return None
        *values, digest = row
        try:
            if digest is not None and digest != _digest(*key.values(), *values):
                raise ValueError("its digest is of something else")
            return read(*values)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if not self._is_known_damaged:
                log.warning("%s is damaged (%s: %s); what is damaged is made again", self._path, table, error)
            self._is_known_damaged = True
            return None

    def _put(self, table: str, *values: object) -> None:
        marks = ",".join("?" * (len(values) + 1))
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*values, _digest(*values)))


def _digest(*values: object) -> bytes:
    return hashlib.sha256(repr(values).encode("utf-8", "surrogateescape")).digest()[:8]


def _detection(text: str) -> list[Face] | Refused:
    found = json.loads(text)
    return Refused(*found["refused"]) if "refused" in found else [_face(*values) for values in found["faces"]]


def _face(*values: Any) -> Face:
    """Return the face of these parts (`astuple`); JSON makes lists of tuples, and earlier versions had fewer."""
    left, top, right, bottom, score, detector, *rest = values
    points, turn, seconds = rest or (None, 0, None)
    at = None if points is None else Points(*((x, y) for x, y in points))
    return Face(left, top, right, bottom, score, detector, at, turn, seconds)


def _measures(text: str) -> Measures | Refused:
    measured = json.loads(text)
    return Refused(*measured["refused"]) if "refused" in measured else dict(measured)


def _vector(content: bytes) -> Float32[np.ndarray, " D"]:
    return np.frombuffer(content, dtype="<f4").astype(np.float32)


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open the store at `path`, made if it is not there; UserError where the file is none or cannot be written."""
    connection = None
    try:
        make_folder(path.parent)
        open_to_write(path, "ab").close()  # SQLite's other files get the mode of this one
        # Every statement is a transaction of its own: nothing is lost to a kill, and no lock is held in between.
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")  # damage is not to stop a query
        _use_journal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")  # waits for the disk at checkpoints only, as a kill needs none
        _make_tables(connection)
        yield Store(connection, path)
    except sqlite3.Error as error:
        raise UserError(
            f"{path}: {error} (the store of earlier results; choose another with store=, or if it is one and damaged, "
            "delete it: all is computed again)"
        ) from None
    finally:
        if connection is not None:
            connection.close()


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables that are not there; those of earlier versions get a digest, which none of their rows has."""
    for table, columns in _TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        if "digest" not in [column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")]:
            with suppress(sqlite3.OperationalError):  # another process has just done so, or there is worse to come
                connection.execute(f"ALTER TABLE {table} ADD COLUMN digest BLOB")


def _use_journal(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which a killed process leaves intact; SQLite does not wait for others here."""
    last = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.05)

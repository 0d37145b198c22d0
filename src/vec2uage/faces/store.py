"""What was computed of each photograph, in one SQLite file: hashes, detections, measures and vectors, never pixels.

Everything is keyed by the photograph's content (SHA-256) and by the fingerprint of what computed it, so that a second
run finds what the first one did, and a changed detector leaves vectors of unchanged boxes alone.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vec2uage.base.errors import UserError
from vec2uage.faces.records import Face, Hashes, Measures, Refused

_TABLES = """
CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, state TEXT, sha256 TEXT, sha1 TEXT, md5 TEXT);
CREATE TABLE IF NOT EXISTS signatures (sha256 TEXT, version TEXT, signature TEXT, PRIMARY KEY (sha256, version));
CREATE TABLE IF NOT EXISTS detections (sha256 TEXT, detector TEXT, found TEXT, PRIMARY KEY (sha256, detector));
CREATE TABLE IF NOT EXISTS measures (sha256 TEXT, face TEXT, measured TEXT, PRIMARY KEY (sha256, face));
CREATE TABLE IF NOT EXISTS vectors (sha256 TEXT, face TEXT, encoder TEXT, vector BLOB,
                                    PRIMARY KEY (sha256, face, encoder));
"""
_WAIT_SECONDS = 60  # for another process that is writing to the same store


class Store:
    """An open store; what was `put` lasts, whatever happens to the process, and other processes can put, too."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def hashes(self, path: bytes, state: str) -> Hashes | None:
        """Return the hashes of a file whose `state` (see `hashing.state_of`) is that in which they were put."""
        row = self._one("SELECT sha256, sha1, md5 FROM files WHERE path=? AND state=?", path, state)
        return Hashes(*row) if row else None

    def put_hashes(self, path: bytes, state: str, hashes: Hashes) -> None:
        self._put("files", path, state, *astuple(hashes))

    def detection(self, sha256: str, detector: str) -> list[Face] | Refused | None:
        """Return the faces a detector found, why the photograph could not be read, or None: not detected yet."""
        row = self._one("SELECT found FROM detections WHERE sha256=? AND detector=?", sha256, detector)
        if row is None:
            return None
        found = json.loads(row[0])
        return Refused(*found["refused"]) if "refused" in found else [Face(*values) for values in found["faces"]]

    def put_detection(self, sha256: str, detector: str, found: list[Face] | Refused) -> None:
        text = {"refused": found.args} if isinstance(found, Refused) else {"faces": [astuple(face) for face in found]}
        self._put("detections", sha256, detector, json.dumps(text))

    def signature(self, sha256: str, version: str) -> str:
        """Return the signature of a photograph (see `faces.signature`), "" where it could not be decoded."""
        row = self._one("SELECT signature FROM signatures WHERE sha256=? AND version=?", sha256, version)
        return str(row[0]) if row else ""

    def put_signature(self, sha256: str, version: str, signature: str) -> None:
        self._put("signatures", sha256, version, signature)

    def measures(self, sha256: str, face: str) -> Measures | Refused | None:
        """Return what was measured of a face, why it cannot be cropped, or None: not measured yet."""
        row = self._one("SELECT measured FROM measures WHERE sha256=? AND face=?", sha256, face)
        if row is None:
            return None
        measured = json.loads(row[0])
        return Refused(*measured["refused"]) if "refused" in measured else measured

    def put_measures(self, sha256: str, face: str, measured: Measures | Refused) -> None:
        text = {"refused": measured.args} if isinstance(measured, Refused) else measured
        self._put("measures", sha256, face, json.dumps(text))

    def vector(self, sha256: str, face: str, encoder: str) -> Float32[np.ndarray, " D"] | None:
        """Return the vector of a face, or None: not embedded yet."""
        row = self._one("SELECT vector FROM vectors WHERE sha256=? AND face=? AND encoder=?", sha256, face, encoder)
        return np.frombuffer(row[0], dtype="<f4").astype(np.float32) if row else None

    def put_vector(self, sha256: str, face: str, encoder: str, vector: Float32[np.ndarray, " D"]) -> None:
        self._put("vectors", sha256, face, encoder, vector.astype("<f4").tobytes())

    def _one(self, query: str, *values: object) -> tuple | None:
        row: tuple | None = self._connection.execute(query, values).fetchone()
        return row

    def _put(self, table: str, *values: object) -> None:
        marks = ",".join("?" * len(values))
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open the store at `path`, made if it is not there; UserError where the file is none or cannot be written."""
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Every statement is a transaction of its own: nothing is lost to a kill, and no lock is held in between.
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        _use_journal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")  # waits for the disk at checkpoints only, as a kill needs none
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        yield Store(connection)
    except sqlite3.Error as error:
        raise UserError(f"{path}: {error} (the store of earlier results; choose another with store=)") from None
    finally:
        if connection is not None:
            connection.close()


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

"""What was computed of each photograph, in one SQLite file: hashes, detections, measures and vectors, never pixels.

Everything is keyed by the photograph's content (SHA-256) and by the fingerprint of what computed it, so that a second
run finds what the first one did, and a changed detector leaves vectors of unchanged boxes alone.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vec2uage.base.database import Database, open_database
from vec2uage.faces.records import Face, Hashes, Measures, Points, Refused

_TABLES = {
    "files": "path BLOB PRIMARY KEY, state TEXT, sha256 TEXT, sha1 TEXT, md5 TEXT, digest BLOB",
    "signatures": "sha256 TEXT, version TEXT, signature TEXT, digest BLOB, PRIMARY KEY (sha256, version)",
    "detections": "sha256 TEXT, detector TEXT, found TEXT, digest BLOB, PRIMARY KEY (sha256, detector)",
    "measures": "sha256 TEXT, face TEXT, measured TEXT, digest BLOB, PRIMARY KEY (sha256, face)",
    "vectors": "sha256 TEXT, face TEXT, encoder TEXT, vector BLOB, digest BLOB, PRIMARY KEY (sha256, face, encoder)",
}


class Store:
    """An open store; what was `put` lasts, whatever happens to the process, and other processes can put, too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hashes(self, path: bytes, state: str) -> Hashes | None:
        """Return the hashes of a file whose `state` (see `hashing.state_of`) is that in which they were put."""
        return self._database.find("files", "sha256, sha1, md5", Hashes, path=path, state=state)

    def put_hashes(self, path: bytes, state: str, hashes: Hashes) -> None:
        self._database.put("files", path, state, *astuple(hashes))

    def detection(self, sha256: str, detector: str) -> list[Face] | Refused | None:
        """Return the faces a detector found, why the photograph could not be read, or None: not detected yet."""
        return self._database.find("detections", "found", _detection, sha256=sha256, detector=detector)

    def put_detection(self, sha256: str, detector: str, found: list[Face] | Refused) -> None:
        text = {"refused": found.args} if isinstance(found, Refused) else {"faces": [astuple(face) for face in found]}
        self._database.put("detections", sha256, detector, json.dumps(text))

    def signature(self, sha256: str, version: str) -> str | None:
        """Return the signature of a photograph (see `faces.signature`), "" where it cannot be decoded, or None."""
        return self._database.find("signatures", "signature", str, sha256=sha256, version=version)

    def put_signature(self, sha256: str, version: str, signature: str) -> None:
        self._database.put("signatures", sha256, version, signature)

    def measures(self, sha256: str, face: str) -> Measures | Refused | None:
        """Return what was measured of a face, why it cannot be cropped, or None: not measured yet."""
        return self._database.find("measures", "measured", _measures, sha256=sha256, face=face)

    def put_measures(self, sha256: str, face: str, measured: Measures | Refused) -> None:
        text = {"refused": measured.args} if isinstance(measured, Refused) else measured
        self._database.put("measures", sha256, face, json.dumps(text))

    def vector(self, sha256: str, face: str, encoder: str) -> Float32[np.ndarray, " D"] | None:
        """Return the vector of a face, or None: not embedded yet."""
        return self._database.find("vectors", "vector", _vector, sha256=sha256, face=face, encoder=encoder)

    def put_vector(self, sha256: str, face: str, encoder: str, vector: Float32[np.ndarray, " D"]) -> None:
        self._database.put("vectors", sha256, face, encoder, vector.astype("<f4").tobytes())


def _detection(text: str) -> list[Face] | Refused:
    found = json.loads(text)
    return Refused(*found["refused"]) if "refused" in found else [as_face(*values) for values in found["faces"]]


def as_face(*values: Any) -> Face:
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
    advice = (
        "the store of earlier results; choose another with store=, or if it is one and damaged, delete it: all is "
        "computed again"
    )
    with open_database(path, _TABLES, advice) as database:
        yield Store(database)

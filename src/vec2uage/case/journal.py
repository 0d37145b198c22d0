"""What is known of a case so far, in one SQLite file of its folder: a killed command goes on from there.

What came of a content is kept by its SHA-256, so that the same content is looked into once, whatever it is called. No
pixel is in it, and no vector unless vectors are kept.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from vec2uage.base.database import Database, open_database, row_digest
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import differences
from vec2uage.base.provenance import code_fingerprint
from vec2uage.case.records import CaseFile, FaceResult, FileResult, Status
from vec2uage.faces.records import Hashes
from vec2uage.faces.store import as_face

FILE = "case.sqlite"
_TABLES = {
    "made_of": "name TEXT PRIMARY KEY, options TEXT, digest BLOB",
    "hashes": "path BLOB PRIMARY KEY, state TEXT, sha256 TEXT, sha1 TEXT, md5 TEXT, digest BLOB",
    "inputs": "name BLOB, entry TEXT, outcome TEXT, size INTEGER, content TEXT, hashes TEXT, digest BLOB",
    "contents": "content TEXT PRIMARY KEY, lasts INTEGER, found TEXT, vectors BLOB, digest BLOB",
}
_ESTIMATES = ("age", "low", "high", "p_minor", "flagged", "distance")
_AT_ONCE = 1000  # inputs of one transaction
_PLACES = 8  # at which one content is looked for


@dataclass(frozen=True)
class Outcome:
    """What came of looking into a content, but for its faces."""

    status: Status
    reason: str = ""
    """As in FileResult."""
    lasts: bool = True
    """False where the next run may find otherwise, as the file was away or the detector failed: it looks again."""


@dataclass(frozen=True)
class Input:
    """A file of the case, and what there is to do with it."""

    file: CaseFile
    outcome: Outcome | None
    """What became of it without looking into it; None where what comes of its `content` does."""
    content: str | None = None
    """Names what is to be looked into: the SHA-256 of a file."""
    size: int | None = None
    """Bytes."""
    hashes: Hashes | None = None


class Journal:
    """The open journal of a case; what was put lasts, whatever happens to the process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection

    def hashes(self, path: Path, state: str) -> Hashes | None:
        """Return the hashes of a file whose `state` (see `hashing.state_of`) is that in which they were put."""
        return self._database.find("hashes", "sha256, sha1, md5", Hashes, path=_raw(str(path)), state=state)

    def put_hashes(self, path: Path, state: str, hashes: Hashes) -> None:
        self._database.put("hashes", _raw(str(path)), state, *astuple(hashes))

    def put_inputs(self, inputs: Iterable[Input]) -> None:
        """Replace all inputs of an earlier run; what is known of their hashes and contents stays."""
        self._connection.execute("DELETE FROM inputs")
        waiting = iter(inputs)
        while some := list(islice(waiting, _AT_ONCE)):
            with self._transaction():
                for each in some:
                    self._database.put("inputs", *_columns(each))

    def unknown_contents(self) -> list[int]:
        """Return the keys of inputs to look into, one of each content of which nothing lasting is known, in order."""
        query = (
            "SELECT min(inputs.rowid) FROM inputs LEFT JOIN contents ON contents.content = inputs.content AND lasts "
            "WHERE inputs.outcome IS NULL AND contents.content IS NULL GROUP BY inputs.content"
        )
        return sorted(key for (key,) in self._connection.execute(query))

    def paths_and_content(self, key: int) -> tuple[tuple[Path, ...], str]:
        """Return where the content of an input lies, the first few of all such places, and its name."""
        (content,) = self._connection.execute("SELECT content FROM inputs WHERE rowid=?", (key,)).fetchone()
        query = "SELECT entry FROM inputs WHERE content=? ORDER BY rowid LIMIT ?"
        places = self._connection.execute(query, (content, _PLACES))
        return tuple(Path(json.loads(entry)[0]) for (entry,) in places), content

    def put(self, content: str, outcome: Outcome, faces: Sequence[FaceResult]) -> None:
        """Put what came of a content: its faces, numbered from 1 in their order."""
        found = [outcome.status, outcome.reason, [_as_json(face) for face in faces]]
        vectors = b"".join(face.vector for face in faces if face.vector is not None)
        self._database.put("contents", content, int(outcome.lasts), json.dumps(found), vectors)

    def results(self) -> Iterator[FileResult]:
        """Yield what became of every input, sorted by name; entries of one name by what else the source says.

        Raises UserError where the journal is damaged.
        """
        query = (
            "SELECT name, entry, outcome, size, inputs.content, hashes, inputs.digest, lasts, found, vectors, "
            "contents.digest FROM inputs LEFT JOIN contents ON contents.content = inputs.content "
            "ORDER BY name, entry"
        )
        rows = self._connection.cursor().execute(query)
        for _, same in groupby(rows, key=lambda row: row[0]):
            for number, row in enumerate(same, 1):
                yield self._result(number, *row)

    def _result(
        self,
        number: int,
        name: bytes,
        entry: str,
        outcome: str | None,
        size: int | None,
        content: str | None,
        hashes: str,
        digest: bytes,
        *found: Any,
    ) -> FileResult:
        if digest != row_digest(name, entry, outcome, size, content, hashes):
            raise self._damaged()
        path, *rest = json.loads(entry)
        file = CaseFile(_text(name), Path(path), *rest)
        about = size, Hashes(*given) if (given := json.loads(hashes)) else None
        if outcome is not None:
            status, reason = json.loads(outcome)
            return FileResult(file, number, status, reason, *about)
        lasts, what, vectors, digest = found
        if digest != row_digest(content, lasts, what, vectors):
            raise self._damaged()
        status, reason, faces = json.loads(what)
        return FileResult(file, number, status, reason, *about, tuple(_faces(faces, vectors)))

    def _damaged(self) -> UserError:
        return UserError(f"{self._database.path}: damaged; delete it: all is computed again")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write what the block puts at once: a transaction of its own for each row takes most of the time."""
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def open_journal(folder: Path, made_of: Mapping[str, Any], overwrite: bool = False) -> Iterator[Journal]:
    """Open the journal of a case's folder, made if it is not there.

    `made_of` is what faces and estimates depend on besides the files, as JSON has it: options, digests and encoders.
    Raises UserError where there is a journal of something else, unless `overwrite`, which empties it.
    """
    path = folder / FILE
    with open_database(path, _TABLES, "the journal of the case; if it is damaged, delete it") as database:
        connection = database.connection
        connection.execute("CREATE INDEX IF NOT EXISTS inputs_in_order ON inputs (name, entry)")
        connection.execute("CREATE INDEX IF NOT EXISTS inputs_by_content ON inputs (content)")
        now = json.loads(json.dumps({**made_of, "code": code_fingerprint()}))
        before = database.find("made_of", "options", json.loads, name="all")
        work = "SELECT EXISTS (SELECT 1 FROM inputs) OR EXISTS (SELECT 1 FROM contents)"
        has_work = connection.execute(work).fetchone() == (1,)  # a command that was refused has left none
        if has_work and before is not None and before != now and not overwrite:
            raise UserError(
                f"{folder} holds work that was done otherwise ({differences(before, now)}): choose "
                "another folder with output=..., or replace it with overwrite=true"
            )
        if before != now:
            connection.execute("DELETE FROM contents")
            database.put("made_of", "all", json.dumps(now))
        yield Journal(database)


def _columns(each: Input) -> tuple[object, ...]:
    file, outcome = each.file, each.outcome
    entry = [str(file.path), dict(sorted(file.hashes.items())), file.problem, file.status]
    return (
        _raw(file.name),
        json.dumps(entry),
        None if outcome is None else json.dumps([outcome.status, outcome.reason]),
        each.size,
        each.content,
        json.dumps(each.hashes and astuple(each.hashes)),
    )


def _as_json(face: FaceResult) -> dict[str, object]:
    return {"face": astuple(face.face), "measures": face.measures} | {name: getattr(face, name) for name in _ESTIMATES}


def _faces(found: Sequence[dict[str, Any]], vectors: bytes) -> Iterator[FaceResult]:
    length = len(vectors) // max(len(found), 1)
    for place, known in enumerate(found):
        face, vector = as_face(*known.pop("face")), vectors[place * length : (place + 1) * length]
        yield FaceResult(place + 1, face, **known, vector=vector or None)


def _raw(text: str) -> bytes:
    """Return a text as bytes that sort as it does, whatever is in it."""
    return text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")

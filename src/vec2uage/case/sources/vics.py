"""Files that a JSON lists as public exports of VICS 2.0 do."""

import os
from collections.abc import Iterator
from pathlib import Path

from vec2uage.case.hashes import algorithm_of, with_hashes
from vec2uage.case.records import CaseFile
from vec2uage.case.sources.base import CaseSource, NonEmpty, listed
from vec2uage.case.vics_json import Entry, entries
from vec2uage.config.settings import settings


@settings
class Vics(CaseSource):
    """The media of a JSON; their names are what it says as RelativeFilePath, backslashes included.

    A path that leads out of the folder is not followed. Totals that the JSON gives are not read: entries are counted.
    """

    path: NonEmpty
    root: NonEmpty | None
    """The folder that RelativeFilePath starts from; None: the JSON's own."""

    def files(self) -> Iterator[CaseFile]:
        return listed(self._read, Path(self.path), self._root)

    def described(self) -> str:
        return self.path

    @property
    def _root(self) -> Path:
        return Path(self.path).parent if self.root is None else Path(self.root)

    def _read(self) -> Iterator[CaseFile]:
        for number, entry in enumerate(entries(Path(self.path)), start=1):
            name = name_of(entry, number)
            file = CaseFile(name, self._root, problem=_problem(entry))
            if not file.problem:
                given = {algorithm_of(key): value for key, value in entry.fields.items() if value is not None}
                hashes = {algorithm: str(value) for algorithm, value in given.items() if algorithm}
                file = with_hashes(CaseFile(name, self._root / _below(name)), hashes)
            yield file


def name_of(entry: Entry, number: int) -> str:
    """Return what the entry is called in the results; `number` is its own in the JSON, from 1."""
    path = entry.get("RelativeFilePath")
    return _encodable(path) if isinstance(path, str) and path.strip() else f"entry {number}"


def _below(path: str) -> str:
    return path.replace("\\", "/").lstrip("/")


def _problem(entry: Entry) -> str:
    """Return why the path of an entry cannot be followed; "" where it can be."""
    path = entry.get("RelativeFilePath")
    if not isinstance(path, str) or not path.strip():
        return "no RelativeFilePath"
    if "\0" in path or path != _encodable(path):
        return "no path that a file could have"
    return "RelativeFilePath leads out of the folder" if ".." in _below(path).split("/") else ""


def _encodable(text: str) -> str:
    """Return a text without the halves of characters that JSON can have and no name of a file."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text

"""Files that a JSON lists as public exports of VICS 2.0 do."""

import os
from collections.abc import Iterator
from pathlib import Path

from vec2uage.case.hashes import algorithm_of, with_hashes
from vec2uage.case.records import CaseFile
from vec2uage.case.sources.base import ListedFiles
from vec2uage.case.vics_json import Entry, entries
from vec2uage.config.settings import settings


@settings
class Vics(ListedFiles):
    """The media of a JSON; their names are what it says as RelativeFilePath, backslashes included.

    A path that leads out of the folder is not followed. Totals that the JSON gives are not read: entries are counted.
    """

    def read(self) -> Iterator[CaseFile]:
        return (file_of(entry, number, self.folder) for number, entry in enumerate(entries(Path(self.path)), start=1))


def file_of(entry: Entry, number: int, root: Path) -> CaseFile:
    """Return the file that an entry speaks of; `number` is its own in the JSON, from 1."""
    path = entry.get("RelativeFilePath")
    if not isinstance(path, str) or not path.strip():
        return CaseFile(f"entry {number}", root, problem="no RelativeFilePath")
    name, below = _encodable(path), path.replace("\\", "/").lstrip("/")
    if "\0" in path or name != path:
        return CaseFile(name, root, problem="no path that a file could have")
    if ".." in below.split("/"):
        return CaseFile(name, root, problem="RelativeFilePath leads out of the folder")
    given = {algorithm_of(key): value for key, value in entry.fields.items() if value is not None}
    return with_hashes(
        CaseFile(name, root / below), {algorithm: str(value) for algorithm, value in given.items() if algorithm}
    )


def _encodable(text: str) -> str:
    """Return a text without the halves of characters that JSON can have and no name of a file."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text

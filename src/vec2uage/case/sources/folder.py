"""Files of folders, by patterns, and of lists on standard input."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.case.records import CaseFile
from vec2uage.case.sources.base import CaseSource, NonEmpty
from vec2uage.case.sources.walk import Pattern, matches, walk
from vec2uage.config.settings import settings

STDIN = "-"
_LONGEST = 1 << 20  # bytes that anything could take for a path


@settings
class Folder(CaseSource):
    """All files below folders, single files, files that match a pattern, or those listed on standard input.

    A name is the path below the folder where there is one folder alone, else the path as it was given. What is given is
    opened, be it a link; what is found below a folder is not, where it is one.
    """

    path: NonEmpty | Annotated[tuple[NonEmpty, ...], Field(min_length=1)]

    def files(self) -> Iterator[CaseFile]:
        if self.path == STDIN:
            return _not_empty(_listed(sys.stdin.buffer), "standard input")
        for path in self._paths:
            start, pattern = _parted(path)
            if not os.path.exists(start):  # noqa: PTH110 - that of Path raises where a name is too long
                raise UserError(f"{path}: no such {'folder' if pattern else 'file or folder'} (source.path)")
        return _not_empty(self._found(), self.described())

    def described(self) -> str:
        return "files listed on standard input" if self.path == STDIN else ", ".join(self._paths)

    def holds(self, place: Path) -> bool:
        parted = [] if self.path == STDIN else map(_parted, self._paths)
        resolved = [(start.resolve(), pattern) for start, pattern in parted]
        place = place.resolve()
        return any(
            place.is_relative_to(start) and matches(place.relative_to(start).parts, pattern)
            for start, pattern in resolved
        )

    @property
    def _paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path

    def _found(self) -> Iterator[CaseFile]:
        for path in self._paths:
            start, pattern = _parted(path)
            if not start.is_dir():
                yield CaseFile(path, start)
            elif self.path == path and not pattern:
                yield from walk(start)
            else:
                yield from walk(start, pattern, "" if start == Path() else os.path.join(start, ""))  # noqa: PTH118


def _parted(path: str) -> tuple[Path, Pattern]:
    """Return where the search starts and what it looks for below; a path that is there is no pattern."""
    parts = Path(path).parts
    special = [bool(set("*?[") & set(part)) for part in parts]
    if not any(special) or os.path.lexists(path):
        return Path(path), ()
    first = special.index(True)
    return Path(*parts[:first]), parts[first:]


def _listed(stream: IO[bytes]) -> Iterator[CaseFile]:
    """Yield the files that a list names, in which each path ends with a NUL character or, without any, a line's end."""
    end, pending = b"", b""
    while piece := stream.read(1 << 16):
        pending += piece
        end = end or (b"\0" if b"\0" in pending else b"\n")
        *paths, pending = pending.split(end)
        yield from _named(paths, end)
        if len(pending) > _LONGEST:
            raise UserError("standard input: no list of files: write each path on a line, or as find -print0 does")
    yield from _named([pending], end)


def _named(paths: list[bytes], end: bytes) -> Iterator[CaseFile]:
    for path in paths:
        if name := os.fsdecode(path if end == b"\0" else path.removesuffix(b"\r")):
            yield CaseFile(name, Path(name))


def _not_empty(files: Iterator[CaseFile], where: str) -> Iterator[CaseFile]:
    first = next(files, None)
    if first is None:
        raise UserError(f"{where}: no file there")
    yield first
    yield from files

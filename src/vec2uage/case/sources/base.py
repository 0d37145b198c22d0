"""What all sources of a case's files have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.case.records import CaseFile
from vec2uage.config.settings import settings
from vec2uage.data.vectorset import VectorSet

NonEmpty = Annotated[str, Field(min_length=1)]


@settings
class CaseSource(ABC):
    """A list of files, of any length and in any order: it is read as it is worked on, and nothing of it is kept."""

    @abstractmethod
    def files(self) -> Iterator[CaseFile]:
        """Return every file of the case, one after the other; none is opened.

        Raises UserError at once where the source is not there or not readable, and later where it turns out to be
        damaged or empty.
        """

    @abstractmethod
    def described(self) -> str:
        """Return in a few words what is read, for the page and the manifest."""

    def vectors(self) -> VectorSet | None:
        """Return what the files hold where they are rows of vectors, in the order of `files`; None of others."""
        return None

    def holds(self, place: Path) -> bool:
        """Tell whether files in the folder `place` would be taken for some of the case, or replace what lists them."""
        return False


def lies_in(place: Path, path: str) -> bool:
    """Tell whether a file lies in the folder `place` itself."""
    return Path(path).resolve().parent == place.resolve()


@settings
class ListedFiles(CaseSource):
    """Files that another one lists."""

    path: NonEmpty
    root: NonEmpty | None
    """The folder that the paths of the list start from; None: the list's own."""

    @abstractmethod
    def read(self) -> Iterator[CaseFile]:
        """Read the list from its beginning."""

    def files(self) -> Iterator[CaseFile]:
        """Return the files; raises UserError where none of them is there, as `root` is then the wrong folder."""
        missing = unusable = 0
        for file in self.read():  # nearly always ends at the first
            if file.problem:
                unusable += 1
            elif os.path.exists(file.path):  # noqa: PTH110 - that of Path raises where a name is too long
                return self.read()
            else:
                missing += 1
        if missing:
            there = counted(missing, "file")
            raise UserError(f"{self.folder}: none of the {there} that {self.path} lists is there; set source.root")
        if not unusable:
            raise UserError(f"{self.path}: lists no files")
        return self.read()

    def described(self) -> str:
        return self.path

    def holds(self, place: Path) -> bool:
        return lies_in(place, self.path)

    @property
    def folder(self) -> Path:
        """Where the paths of the list start."""
        return Path(self.path).parent if self.root is None else Path(self.root)

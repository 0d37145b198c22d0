"""What all sources of a case's files have in common."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vec2uage.base.errors import UserError
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
        """Tell whether a file that is written to `place` would be taken for one of the case."""
        return False


def listed(read: Callable[[], Iterator[CaseFile]], path: Path, root: Path) -> Iterator[CaseFile]:
    """Return the files that the list at `path` names, which `read` reads from its beginning.

    Raises UserError where none of them is below `root`, which is then the wrong folder, or the list is empty.
    """
    count = 0
    for file in read():  # nearly always ends at the first
        count += 1
        if not file.problem and os.path.exists(file.path):  # noqa: PTH110 - that of Path raises where a name is too long
            return read()
    if count == 0:
        raise UserError(f"{path}: lists no files")
    raise UserError(f"{root}: none of the {count:,} files that {path} lists is there; set source.root")

"""A case of faces that are vectors already: nothing of it is looked into, found or embedded."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from vec2uage.case.records import CaseFile
from vec2uage.case.sources.base import CaseSource, lies_in
from vec2uage.config.settings import settings
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.sources.vector_files import VectorFiles


@settings
class Vectors(CaseSource):
    """Files of vectors, in any format that training reads; a row counts as a file with one face."""

    given: VectorFiles

    @cached_property
    def _rows(self) -> VectorSet:
        return self.given.read()

    def files(self) -> Iterator[CaseFile]:
        return (CaseFile(name, Path(name)) for name in self._rows.names)

    def vectors(self) -> VectorSet:
        return self._rows

    def described(self) -> str:
        return f"vectors in {', '.join(self._paths)}"

    def holds(self, place: Path) -> bool:
        return any(lies_in(place, path) for path in self._paths)

    @property
    def _paths(self) -> tuple[str, ...]:
        return (self.given.path,) if isinstance(self.given.path, str) else self.given.path

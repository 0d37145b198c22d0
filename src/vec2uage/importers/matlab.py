"""Reads a struct of numbers and texts from a MATLAB file, level 5 (MATLAB 5 to 7), whatever the file holds.

Of our own because scipy's reader ends the whole process where a file is damaged in certain ways. The layout is that of
MathWorks' "MAT-File Format": a header, then elements of type, size and content that may be nested.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from vec2uage.base.errors import UserError

HEADER = 128
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR, FIRST_NUMBER, LAST_NUMBER = 1, 2, 4, 6, 15  # classes of matrices
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
LARGEST = 2**31  # bytes of one unpacked variable; IMDB's are a fifth of it
MOST_PACKED = 100  # times as large as its packed form may a variable be; zlib can pack a thousandfold


def read_struct(
    path: Path, variables: Sequence[str], fields: Sequence[str]
) -> dict[str, Shaped[np.ndarray, " _"]] | None:
    """Return those of `fields` that the first of `variables` in the file has, or None where there is no such struct.

    Real numbers become float64, cells of texts become str ("" for a cell of something else); other fields count as
    missing. Raises UserError when the file is missing, damaged or of another kind.
    """
    if not path.is_file():
        raise UserError(f"{path}: a folder, not a file" if path.is_dir() else f"{path}: no such file")
    content = path.read_bytes()
    if b"\x89HDF" in (content[:4], content[512:516]):
        raise UserError(f"{path}: a MATLAB 7.3 (HDF5) file; save it in MATLAB with save(..., '-v7')")
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
    if order is None:
        raise UserError(f"{path}: not a .mat file of level 5")
    try:
        return _Reader(order).variable(memoryview(content)[HEADER:], variables, fields)
    except (ValueError, LookupError, struct.error, zlib.error, StopIteration) as error:
        raise UserError(f"{path}: a damaged .mat file ({error})") from None


class _Matrix(NamedTuple):
    """An array of any class, a struct and a text included."""

    array_class: int
    shape: tuple[int, ...]
    name: str
    content: Iterator[tuple[int, memoryview]]
    """Type and bytes of the elements that hold what is in it."""


class _Reader:
    """Reads the elements of one file, whose numbers are little- or big-endian."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.tag = struct.Struct(f"{order}II")
        self.end = {"<": "-le", ">": "-be"}[order]

    def variable(
        self, content: memoryview, variables: Sequence[str], fields: Sequence[str]
    ) -> dict[str, np.ndarray] | None:
        """Return the `fields` of the first struct whose name is one of `variables`; None where there is none."""
        for kind, data in self.elements(content):
            if kind == COMPRESSED:
                unpacker = zlib.decompressobj()
                unpacked = unpacker.decompress(data, min(LARGEST, MOST_PACKED * len(data) + 2**20))
                if unpacker.unconsumed_tail:
                    raise ValueError("a variable that would unpack to far more than it holds")
                kind, data = next(self.elements(memoryview(unpacked)))
            if kind == MATRIX:
                matrix = self.matrix(data)
                if matrix.name in variables and matrix.array_class == STRUCT and math.prod(matrix.shape) == 1:
                    return self.fields(matrix.content, fields)
        return None

    def elements(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield type and content of the elements that follow each other in `data`."""
        at = 0
        while at < len(data):
            kind, size = self.tag.unpack_from(data, at)
            if small := kind >> 16:  # size and type share a word, the content follows in the same 8 bytes
                kind, size, start, after = kind & 0xFFFF, small, at + 4, at + 8
            else:
                start = at + 8
                after = start + size + (-size % 8 if kind != COMPRESSED else 0)
            if small > 4 or start + size > len(data):
                raise ValueError("it ends within a value")
            yield kind, data[start : start + size]
            at = after

    def matrix(self, data: memoryview) -> _Matrix:
        """Return a matrix, of which only the header has been read."""
        content = self.elements(data)
        (_, flags), (_, shape), (_, name) = next(content), next(content), next(content)
        sides = tuple(np.frombuffer(shape, f"{self.order}i4").tolist())
        return _Matrix(self.tag.unpack_from(flags)[0] & 0xFF, sides, bytes(name).decode("latin-1"), content)

    def fields(self, content: Iterator[tuple[int, memoryview]], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the `wanted` fields of a struct that hold numbers or texts, by name."""
        (_, length), (_, names) = next(content), next(content)
        width = int(np.frombuffer(length, f"{self.order}i4")[0])
        if width < 1:
            raise ValueError("field names of no length")
        found = {}
        for start in range(0, len(names), width):
            name = bytes(names[start : start + width]).split(b"\0")[0].decode("latin-1")
            _, data = next(content)
            if name in wanted and (values := self.values(data)) is not None:
                found[name] = values
        return found

    def values(self, data: memoryview) -> np.ndarray | None:
        """Return the numbers or texts of a matrix, or None for another kind."""
        matrix = self.matrix(data)
        if matrix.array_class == CELL:
            cells = np.array([self.text(cell) for _, cell in matrix.content], dtype=object)
        elif FIRST_NUMBER <= matrix.array_class <= LAST_NUMBER:
            kind, numbers = next(matrix.content)
            if kind not in NUMBERS:
                raise ValueError(f"numbers of the unknown type {kind}")
            cells = np.frombuffer(numbers, f"{self.order}{NUMBERS[kind]}").astype(np.float64)
            if next(matrix.content, None) is not None:  # imaginary parts
                return None
        else:
            return None
        if len(cells) != math.prod(matrix.shape):
            raise ValueError(f"{len(cells)} values in an array of shape {matrix.shape}")
        return cells

    def text(self, data: memoryview) -> str:
        """Return the text of a cell, "" where it holds something else."""
        if not data:  # an empty cell
            return ""
        matrix = self.matrix(data)
        kind, text = next(matrix.content, (1, b""))
        if matrix.array_class != CHAR:
            return ""
        if kind not in TEXTS:
            raise ValueError(f"a text of the unknown type {kind}")
        encoding = TEXTS[kind] + (self.end if TEXTS[kind] in ("utf-16", "utf-32") else "")
        return bytes(text).decode(encoding, "replace")

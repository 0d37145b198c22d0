"""How many faces of which kind a split has: what a run records of its data, for reports drawn without the data."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vec2uage.data.balance import REPEAT
from vec2uage.data.parts import Parts
from vec2uage.data.vectorset import VectorSet, needed_ages

RowKind = Literal["photographed", "augmented", "repeated"]


@dataclass(frozen=True)
class RowCount:
    """So many rows of a part of the split are alike in all that is named here; the age is whole years."""

    part: str
    kind: RowKind
    """`repeated`: a row that `augmentation=balance` uses again; `augmented`: a face drawn from another one."""
    source: str
    gender: str
    age: int
    faces: int


def row_counts(parts: Parts) -> tuple[RowCount, ...]:
    """Count the rows of each part by kind, source, gender and whole age."""
    return tuple(
        RowCount(part, *alike, faces=faces)
        for part, vs in parts.items()
        for alike, faces in sorted(Counter(zip(_kinds(vs), *_columns(vs), strict=True)).items())
    )


def _columns(vs: VectorSet) -> tuple[list[str], list[str], list[int]]:
    return vs.source.tolist(), vs.gender.tolist(), np.floor(needed_ages(vs, "a count of rows")).astype(int).tolist()


def _kinds(vs: VectorSet) -> list[RowKind]:
    """Tell what each row is; `Balance` names a repeat after its original."""
    originals = set(vs.names)
    return [_kind(name, parent, originals) for name, parent in zip(vs.names, vs.parents, strict=True)]


def _kind(name: str, parent: str, originals: set[str]) -> RowKind:
    stem, mark, number = name.rpartition(REPEAT)
    if mark and number.isdecimal() and stem in originals:
        return "repeated"
    return "augmented" if parent else "photographed"

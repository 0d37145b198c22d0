"""How many faces of which kind a split has: what a run records of its data, for reports drawn without the data."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vec2uage.data.balance import REPEAT
from vec2uage.data.splits import PARTS, DataSplit, Part
from vec2uage.data.vectorset import VectorSet

Kind = Literal["photographed", "augmented", "repeated"]


@dataclass(frozen=True)
class Count:
    """So many rows of a part of the split are alike in all that is named here; the age is whole years."""

    part: Part
    kind: Kind
    """`repeated`: a row that `augmentation=balance` uses again; `augmented`: a face drawn from another one."""
    source: str
    gender: str
    age: int
    faces: int


def census(split: DataSplit) -> tuple[Count, ...]:
    """Count the rows of each part by kind, source, gender and whole age."""
    parts = [(part, getattr(split, part)) for part in PARTS]
    return tuple(
        Count(part, *alike, faces=faces)
        for part, vs in parts
        for alike, faces in sorted(Counter(zip(_kinds(vs), *_columns(vs), strict=True)).items())
    )


def _columns(vs: VectorSet) -> tuple[list[str], list[str], list[int]]:
    return vs.source.tolist(), vs.gender.tolist(), np.floor(vs.ages).astype(int).tolist()


def _kinds(vs: VectorSet) -> list[Kind]:
    """Tell what each row is; `Balance` names a repeat after its original."""
    originals = set(vs.names)
    return [_kind(name, parent, originals) for name, parent in zip(vs.names, vs.parents, strict=True)]


def _kind(name: str, parent: str, originals: set[str]) -> Kind:
    stem, mark, number = name.rpartition(REPEAT)
    if mark and number.isdecimal() and stem in originals:
        return "repeated"
    return "augmented" if parent else "photographed"

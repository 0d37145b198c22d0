"""Divides vectors as a list in a file says, so that models of others can be judged on the same faces.

The list is a CSV file with a row for every face of the set, also for those that are only trained on: a set with other
faces is found out. Faces are told by a digest, so that the list gives away neither names nor vectors.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vec2uage.base.csv_file import read_csv, write_csv
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted, ranges
from vec2uage.config.settings import settings
from vec2uage.data.parts import PARTS, UNDIVIDED, Parts, is_divided, within
from vec2uage.data.splits import GroupIds, SplitOfAges, with_followers
from vec2uage.data.vectorset import VectorSet, needed_ages

log = logging.getLogger(__name__)

DIGITS = 16  # hex digits of a SHA-256 that tell a face: two of a million faces are alike once in ten million lists
LEFT_OUT = "left_out"  # for the splits in which a face is in no part, such as a copy of a held-out one
COLUMNS = ("validation", "test", LEFT_OUT)  # each with the numbers of splits; in all others, a face is trained on
AGAIN = "take the list as it was published (split.path)"


def name_digests(vs: VectorSet) -> list[str]:
    """Return a digest of each face's file name, without its folders."""
    return [_digest(name.rpartition("/")[2].encode()) for name in vs.names]


def vector_digests(vs: VectorSet) -> list[str]:
    """Return a digest of each vector: its elements as little-endian float32."""
    return [_digest(vector.tobytes()) for vector in vs.vectors.astype("<f4")]


DIGESTS: Mapping[str, Callable[[VectorSet], list[str]]] = {
    "name_sha256": name_digests,
    "vector_sha256": vector_digests,
}
"""What tells a face, by the head of the list's first column. Vectors where rows have no names of their own."""


@dataclass(frozen=True, eq=False)
class FaceList:
    """The faces of a set, and where each is in every split."""

    told_by: str
    """Of `DIGESTS`."""
    places: Mapping[str, Mapping[int, str]]
    """By the face's digest and the number of a split: the part, or `LEFT_OUT`; a split that is not named: train."""

    @property
    def numbers(self) -> list[int]:
        """The numbers of the splits, in rising order."""
        return sorted({number for place in self.places.values() for number in place})

    def place(self, digest: str, number: int) -> str:
        """Return the part that a face is in, or `LEFT_OUT`, where also those are that are not on the list."""
        return self.places[digest].get(number, "train") if digest in self.places else LEFT_OUT


def write_list(path: Path, vs: VectorSet, divisions: Mapping[int, Parts], told_by: str) -> None:
    """Write the list of some splits, by their numbers, of photographed faces; UserError where two have one digest."""
    digests = DIGESTS[told_by](vs)
    if again := len(digests) - len(set(digests)):
        raise UserError(f"{counted(again, 'face')} with the {told_by} of another one: tell them otherwise")
    cells = {digest: {column: list[str]() for column in COLUMNS} for digest in digests}
    for number, parts in divisions.items():
        part_of = {name: part for part, rows in parts.items() for name in rows.names}
        for name, digest in zip(vs.names, digests, strict=True):
            if (place := part_of.get(name, LEFT_OUT)) in COLUMNS:
                cells[digest][place].append(str(number))
    rows = ([digest, *(" ".join(numbers) for numbers in cells[digest].values())] for digest in sorted(cells))
    write_csv(path, (told_by, *COLUMNS), rows)


def read_list(path: Path) -> FaceList:
    """Read a list that was written here; UserError where there is none, or a damaged one."""
    try:
        rows = read_csv(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read (split.path): {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path}: no list of splits (split.path), as it is no table in UTF-8") from None
    told_by = next(iter(rows[0]), "") if rows else ""
    if told_by not in DIGESTS or any(tuple(row) != (told_by, *COLUMNS) for row in rows):
        columns = f"{' or '.join(DIGESTS)}, {', '.join(COLUMNS)}"
        raise UserError(f"{path}: no list of splits (split.path): its columns should be {columns}")
    places: dict[str, Mapping[int, str]] = {}
    for line, row in enumerate(rows, start=2):
        numbers = [(number, column) for column in COLUMNS for number in row[column].split(" ") if number]
        if row[told_by] in places:
            raise UserError(f"{path}: line {line}: the face {row[told_by]} for the second time: {AGAIN}")
        if not all(number.isdecimal() and len(number) <= 9 for number, _ in numbers):
            raise UserError(f"{path}: line {line}: a number of a split that is none: {AGAIN}")
        places[row[told_by]] = {int(number): column for number, column in numbers}
        if len(places[row[told_by]]) < len(numbers):
            raise UserError(f"{path}: line {line}: a face is in two parts of one split: {AGAIN}")
    return FaceList(told_by, places)


@settings
class ListedSplit(SplitOfAges):
    """Takes the parts from a list that was published; nothing is drawn."""

    path: str
    seed: Annotated[int, Field(ge=0)] = 0
    """Which of the list's splits; it is called as what draws a split, so that sweeps over both read alike."""
    unlisted: Literal["refuse", "drop"] = "refuse"
    """What happens where the data have faces that are not on the list."""

    def seed_for(self, run_seed: int) -> int:
        """Return `seed`."""
        return self.seed

    def check(self, divided: bool) -> None:
        """Raise UserError for a set that is divided, and where the list cannot be read or has no such split."""
        super().check(divided)
        numbers = _kept_list(self.path, _changed(self.path)).numbers
        if self.seed not in numbers:
            raise UserError(f"split.seed = {self.seed}: {self.path} has the splits {ranges(numbers)} only")

    def divide(self, parts: Parts, seed: int, group_ids: GroupIds | None = None) -> Parts:
        """Return the listed faces of `age_range` for validation and test, and for training all others of `train_ages`.

        What the list leaves out in this split, such as copies of held-out faces, is in no part. Augmented faces follow
        their parents (see `with_followers`). Raises UserError where the faces are not those of the list.
        """
        self.check(is_divided(parts))
        if group_ids is not None:
            raise UserError("split = listed: the list has said already what stays together: take leakage=report")
        return with_followers(parts[UNDIVIDED], lambda photographed: self._divide(photographed, seed))

    def _divide(self, vs: VectorSet, number: int) -> Parts:
        listed = _kept_list(self.path, _changed(self.path))
        vs, digests = _distinct(vs, DIGESTS[listed.told_by](vs), listed.told_by)
        self._check_same_set(listed, digests, number)
        where = np.array([listed.place(digest, number) for digest in digests], dtype=object)
        parts = {}
        for part in PARTS:
            if not (where == part).any():
                raise UserError(f"{self.path}: split {number} has no face for {part}: {AGAIN}")
            try:
                parts[part] = within(vs.take(where == part), self.label_range if part == "train" else self.age_range)
            except UserError as error:
                raise UserError(f"{part}: {error}") from None
        return parts

    def _check_same_set(self, listed: FaceList, digests: Sequence[str], number: int) -> None:
        """Raise UserError where faces of a split are missing, or there are others that are to be refused."""
        needed = {digest for digest in listed.places if listed.place(digest, number) != LEFT_OUT}
        missing = len(needed - set(digests))
        others = sum(digest not in listed.places for digest in digests)
        if missing == len(needed):
            raise UserError(
                f"{self.path}: none of its {counted(missing, 'face')} is in the data, told by {listed.told_by}: "
                "it is a list of another set (split.path)"
            )
        if missing:
            raise UserError(
                f"{self.path}: {missing:,} of the {len(needed):,} faces of split {number} are not in the data: "
                "results on fewer faces compare with no others; complete the data, or draw a split of your own "
                "(split=paper)"
            )
        if others and self.unlisted == "refuse":
            raise UserError(
                f"{self.path}: {counted(others, 'face')} of the data are not among the {len(listed.places):,} of the "
                "list: leave them out with split.unlisted=drop"
            )
        if others:
            log.info("%s not on the list of the split and left out", counted(others, "face"))


def _distinct(vs: VectorSet, digests: Sequence[str], told_by: str) -> tuple[VectorSet, list[str]]:
    """Return the rows without those that are told as an earlier one; UserError where these are not the same face."""
    first: dict[str, int] = {}
    original = np.array([first.setdefault(digest, row) for row, digest in enumerate(digests)], dtype=np.int64)
    again = original != np.arange(len(vs))
    if not again.any():
        return vs, list(digests)
    ages = needed_ages(vs, "split=listed")
    unlike = again & ((vs.vectors != vs.vectors[original]).any(axis=1) | (ages != ages[original]))
    if unlike.any():
        one, other = vs.names[unlike][0], vs.names[original[unlike]][0]
        raise UserError(
            f"split = listed: {one!r} and {other!r} are two faces, or two ages, of one {told_by}: leave one of them out"
        )
    log.warning("%s of an earlier vector left out", counted(int(again.sum()), "exact duplicate"))
    return vs.take(~again), list(first)


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError as error:
        raise UserError(f"{path}: cannot be read (split.path): {error.strerror}") from None


@lru_cache(maxsize=4)  # every run of a sweep checks it
def _kept_list(path: str, changed: int) -> FaceList:
    """Return the list in a file, read anew only when that has changed."""
    return read_list(Path(path))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]

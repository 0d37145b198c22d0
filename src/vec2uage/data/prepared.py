"""A folder that holds a divided set: written once, the same three parts for every run that reads it."""

from abc import ABC, abstractmethod
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.base.manifest import Manifest, find_manifest, read_manifest
from vec2uage.base.provenance import file_sha256
from vec2uage.config.settings import settings
from vec2uage.data.dataset import Dataset
from vec2uage.data.readers import read
from vec2uage.data.splits import PARTS, AgeRange, DataSplit, Division, Label, PerRow, Split, relabelled, split, within
from vec2uage.data.vectorset import VectorSet, concatenate

DESCRIPTION = "dataset.json"  # the manifest of a folder: it tells a complete one, and what is in it
AGAIN = "run the same vec2uage.prepare command again"


@settings
class Splitter(ABC):
    """How a set is divided once and for all."""

    @abstractmethod
    def used(self, vs: VectorSet) -> VectorSet:
        """Return the rows that `divide` puts into parts or has to choose from; UserError where there are none."""

    @abstractmethod
    def divide(self, vs: VectorSet, together: PerRow | None) -> DataSplit | None:
        """Return the parts, None for no division; rows of one number in `together` are not parted."""


@settings
class HeldOut(Splitter):
    """The paper's division (section 3.3): a balanced held-out pool, its halves, and the training remainder."""

    age_range: AgeRange
    heldout_per_age: Annotated[int, Field(ge=2, multiple_of=2)]
    missing_ages: Literal["refuse", "allow"]
    seed: Annotated[int, Field(ge=0)]
    group: Literal["auto", "subject", "none"]

    def used(self, vs: VectorSet) -> VectorSet:
        """Return the rows of `age_range`."""
        inside = within(vs, self.age_range)
        if not len(inside):
            first, last = self.age_range
            raise UserError(f"split: no rows of the ages {first}-{last}: set age_range to ages that the data has")
        return inside

    def divide(self, vs: VectorSet, together: PerRow | None) -> DataSplit:
        """Divide rows with the code that training uses (see `splits.split`)."""
        how = Division(
            age_range=self.age_range,
            heldout_per_age=self.heldout_per_age,
            missing_ages=self.missing_ages,
            split=Split(seed=self.seed, group=self.group),
        )
        try:
            return split(vs, how, self.seed, together)
        except UserError as error:  # which names options without the group that they are of
            raise UserError(f"split: {error}") from None


@settings
class NoSplit(Splitter):
    """Leaves all rows in one file, for training to divide."""

    def used(self, vs: VectorSet) -> VectorSet:
        """Return all rows."""
        return vs

    def divide(self, vs: VectorSet, together: PerRow | None) -> None:
        """Return None."""


def part_file(folder: Path, part: str) -> Path:
    """Return where a part of a set lies: one of `PARTS`, or `vectors` for a set that is not divided."""
    return folder / f"{part}.arrow"


def find_set(folder: Path) -> Manifest | None:
    """Return the manifest of a prepared set, None where there is no complete one."""
    found = find_manifest(folder / DESCRIPTION)
    return found if found is not None and found.about.keys() >= {"fingerprint", "parts", "leakage"} else None


@settings
class Prepared(Dataset):
    """A divided set from a folder that `vec2uage.prepare` wrote; its parts are taken as they are."""

    path: str
    age_range: AgeRange | None
    """None: the ages that it was prepared with."""
    label: Label

    def parts(self, split_seed: int) -> DataSplit:
        """Read the three parts.

        Raises UserError where the folder is not complete, a part is missing, damaged, not the one that was written
        last, or has no row of `age_range`, or a name is in two parts.
        """
        return relabelled(DataSplit(*self._parts()), self.label)

    def read(self) -> VectorSet:
        """Read all parts as one set; raises what `parts` does."""
        return concatenate(self._parts())

    def split_seed(self, run_seed: int) -> int:
        """Return 0: the set was divided before."""
        return 0

    def check_files(self) -> None:
        """Raise UserError where the folder is not complete, was not divided, or lacks a part."""
        folder = Path(self.path)
        _written(folder)
        for part in PARTS:
            if not part_file(folder, part).is_file():
                raise UserError(f"{part_file(folder, part)}: missing: {AGAIN}")

    def _parts(self) -> list[VectorSet]:
        folder = Path(self.path)
        written = _written(folder)
        parts = [self._part(file, written[file.name]) for file in (part_file(folder, part) for part in PARTS)]
        for (one, a), (other, b) in combinations(zip(PARTS, parts, strict=True), 2):
            if both := set(a.names) & set(b.names):
                raise UserError(f"{folder}: {min(both)!r} is in {one} and in {other}: prepare the folder again")
        return parts

    def _part(self, file: Path, sha256: str) -> VectorSet:
        if not file.is_file() or file_sha256(file) != sha256:
            raise UserError(f"{file}: missing or not the file that {DESCRIPTION} describes: {AGAIN}")
        vs = read(file)
        if self.age_range is None:
            return vs
        vs = within(vs, self.age_range)
        if not len(vs):
            raise UserError(f"{file}: no row of the ages {self.age_range[0]}-{self.age_range[1]} (dataset.age_range)")
        return vs


def _written(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the parts by their files' names, as the manifest in the folder gives them.

    Raises UserError where there is no manifest, or none of three parts.
    """
    file = folder / DESCRIPTION
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder (dataset.path); vec2uage.prepare makes one")
    if not file.is_file():
        raise UserError(
            f"{folder}: no {DESCRIPTION} in this folder (dataset.path): vec2uage.prepare makes such a folder of "
            f"photographs; if it was interrupted, {AGAIN}"
        )
    try:
        written = read_manifest(file).files
    except UserError as error:
        raise UserError(f"{error}: {AGAIN}") from None
    for part in PARTS:
        if part_file(folder, part).name not in written:
            raise UserError(
                f"{folder}: no {part_file(folder, part).name} in this folder (dataset.path), as it was prepared "
                "without a split: take its vectors.arrow with dataset=vectors, or prepare it with one"
            )
    return written

"""A folder that holds a divided set: written once, the same three parts for every run that reads it."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.dataset import Dataset
from vec2uage.data.readers import read
from vec2uage.data.splits import AgeRange, DataSplit, Division, PerRow, Split, floored, split, within
from vec2uage.data.vectorset import VectorSet, concatenate

PARTS = ("train", "validation", "test")


@settings
class Splitter(ABC):
    """How a set is divided once and for all."""

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

    def divide(self, vs: VectorSet, together: PerRow | None) -> DataSplit:
        """Divide rows with the code that training uses (see `splits.split`)."""
        how = Division(
            age_range=self.age_range,
            heldout_per_age=self.heldout_per_age,
            missing_ages=self.missing_ages,
            split=Split(seed=self.seed, group=self.group),
        )
        return split(vs, how, self.seed, together)


@settings
class NoSplit(Splitter):
    """Leaves all rows in one file, for training to divide."""

    def divide(self, vs: VectorSet, together: PerRow | None) -> None:
        """Return None."""


def part_file(folder: Path, part: str) -> Path:
    """Return where a part of a set lies: one of `PARTS`, or `vectors` for a set that is not divided."""
    return folder / f"{part}.arrow"


@settings
class Prepared(Dataset):
    """A divided set from a folder that `vec2uage.prepare` wrote; its parts are taken as they are."""

    path: str
    age_range: AgeRange
    label: Literal["exact", "floor"]

    def parts(self, split_seed: int) -> DataSplit:
        """Read the three parts; UserError where one is missing, damaged or has no row of `age_range`."""
        train, validation, test = (self._read(part) for part in PARTS)
        return DataSplit(floored(train) if self.label == "floor" else train, validation, test)

    def read(self) -> VectorSet:
        """Read all parts as one set."""
        return concatenate([self._read(part) for part in PARTS])

    def split_seed(self, run_seed: int) -> int:
        """Return 0: the set was divided before."""
        return 0

    def _read(self, part: str) -> VectorSet:
        file = part_file(Path(self.path), part)
        if not file.is_file():
            raise UserError(
                f"{self.path}: no {file.name} in this folder (dataset.path): give a folder that "
                "`python -m vec2uage.prepare` wrote with a split, or a file of vectors with dataset=vectors"
            )
        vs = within(read(file), self.age_range)
        if not len(vs):
            raise UserError(f"{file}: no row of the ages {self.age_range[0]}-{self.age_range[1]} (dataset.age_range)")
        return vs

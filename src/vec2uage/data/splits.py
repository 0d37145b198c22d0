"""The config group `split`: how vectors are divided into named parts; see `paper_split` for the one that draws them."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Integer

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.parts import ALL_PARTS, PARTS, UNDIVIDED, AgeRange, Parts, is_divided, within
from vec2uage.data.vectorset import VectorSet, concatenate

GroupIds = Integer[np.ndarray, " N"]
"""A number for each row of a VectorSet: rows of one number stay in one part."""


@settings
class Split(ABC):
    """How a set of vectors is divided; a new split derives from this and needs `divide` alone."""

    @property
    def label_range(self) -> AgeRange | None:
        """The first and last whole age of any part; None: those of the dataset."""
        return None

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of the parts that come of `divide`; with `split=prepared`, of those that may."""
        return PARTS

    @abstractmethod
    def divide(self, parts: Parts, seed: int, group_ids: GroupIds | None = None) -> Parts:
        """Return the parts that come of a set which is divided already, or not.

        `seed` draws them (see `seed_for`). `group_ids`, of a set not divided yet, say which rows must not be parted.
        Raises UserError where the set cannot be divided.
        """

    def used(self, vs: VectorSet) -> VectorSet:
        """Return the rows that `divide` puts into parts or has to choose from; UserError where there are none."""
        return vs

    def judged(self, vs: VectorSet) -> VectorSet:
        """Return those of the rows `used` that can be in other parts than that for training."""
        return self.used(vs)

    @property
    def is_per_run(self) -> bool:
        """Whether every run divides the rows anew."""
        return False

    def seed_for(self, run_seed: int) -> int:
        """Return the seed that divides the rows of the run with `run_seed`."""
        return 0

    def check(self, divided: bool) -> None:
        """Raise UserError where this split cannot take a set that is divided already, or one that is not."""
        if divided:
            raise UserError("split: dataset=prepared is divided already: leave this option out, or take split=prepared")


@settings
class NoSplit(Split):
    """Leaves all rows in one part."""

    @property
    def gives(self) -> tuple[str, ...]:
        """The one part."""
        return (UNDIVIDED,)

    def divide(self, parts: Parts, seed: int, group_ids: GroupIds | None = None) -> Parts:
        """Return all rows as one part."""
        return {UNDIVIDED: concatenate(list(parts.values()))} if is_divided(parts) else parts

    def check(self, divided: bool) -> None:
        """Take any set."""


@settings
class PreparedSplit(Split):
    """Takes the parts that `vec2uage.prepare` made."""

    age_range: AgeRange | None
    """None: the ages that it was prepared with."""

    @property
    def label_range(self) -> AgeRange | None:
        """`age_range`."""
        return self.age_range

    @property
    def gives(self) -> tuple[str, ...]:
        """All parts, as only the folder tells whether one for calibration was made."""
        return ALL_PARTS

    def used(self, vs: VectorSet) -> VectorSet:
        """Return the rows of `age_range`."""
        return vs if self.age_range is None else within(vs, self.age_range)

    def divide(self, parts: Parts, seed: int, group_ids: GroupIds | None = None) -> Parts:
        """Return the rows of `age_range` in each part; UserError where one has none."""
        self.check(is_divided(parts))
        used = {}
        for name, part in parts.items():
            try:
                used[name] = self.used(part)
            except UserError as error:
                raise UserError(f"{name}: {error}") from None
        return used

    def check(self, divided: bool) -> None:
        """Raise UserError for a set that is not divided."""
        if not divided:
            raise UserError("split = prepared: only dataset=prepared is divided already: take split=paper")

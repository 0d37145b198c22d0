"""The config group `split`: how vectors are divided into named parts.

`paper_split` has the one that draws them, `listed_split` the one that reads which faces were drawn before.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from jaxtyping import Integer
from pydantic import model_validator

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.parts import ALL_PARTS, PARTS, UNDIVIDED, AgeRange, Parts, is_divided, within
from vec2uage.data.vectorset import VectorSet, concatenate

log = logging.getLogger(__name__)

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
class SplitOfAges(Split):
    """A split that judges faces of some ages, and may train on others, too."""

    age_range: AgeRange = (1, 18)
    train_ages: AgeRange | None = None
    """Ages to train on, with those of `age_range` among them: faces of the others are in the training part only, and
    the held-out ones are the same whatever it is. None: `age_range`, as in the paper."""

    @model_validator(mode="after")
    def _trained_on_what_is_judged(self) -> "SplitOfAges":
        first, last = self.label_range
        if first > self.age_range[0] or last < self.age_range[1]:
            raise ValueError("train_ages must hold all ages of age_range")
        return self

    @property
    def label_range(self) -> AgeRange:
        """The first and last whole age of any part."""
        return self.train_ages or self.age_range

    def judged(self, vs: VectorSet) -> VectorSet:
        """Return the rows of `age_range`."""
        return within(vs, self.age_range)


def with_followers(vs: VectorSet, divide: Callable[[VectorSet], Parts]) -> Parts:
    """Return what `divide` makes of the photographed faces, with the augmented faces of its training rows added.

    Augmented faces are never held out: those whose parent is a training row follow it, the others are left out.
    """
    is_augmented = vs.parents != ""
    if not is_augmented.any():
        return divide(vs)
    divided = divide(vs.take(~is_augmented))
    train = divided["train"]
    followers = vs.take(is_augmented & np.isin(vs.parents, train.names))
    log.info("%s of %s augmented faces follow their parents", f"{len(followers):,}", f"{is_augmented.sum():,}")
    return {**divided, "train": concatenate([train, followers])}


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

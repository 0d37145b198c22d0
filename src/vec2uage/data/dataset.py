"""Which vectors a run learns from, as settings: where they come from, which ages, how they are divided."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from vec2uage.config.settings import settings
from vec2uage.data.readers import read
from vec2uage.data.vectorset import BadRows, VectorSet


@settings
class Split:
    """How rows are drawn for the held-out pool."""

    seed: Annotated[int, Field(ge=0)] | Literal["run"] = 0
    """Fixed by default, so that runs are compared on the same held-out faces; `run` re-draws the pool with
    each run's seed, as the authors' released code did."""
    group: Literal["auto", "subject", "none"] = "auto"
    """`subject`: all pictures of a person lie on one side; `none`: rows are drawn one by one; `auto`:
    `subject` where any subject is known."""


@settings
class Dataset(ABC):
    """The options that every dataset has; a subclass says where its vectors come from (`read`)."""

    age_range: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=120)]] = (1, 18)
    """First and last age in whole years, both included: a row belongs when floor(age) lies in it."""
    label: Literal["exact", "floor"] = "exact"
    """`floor`: training ages become whole years, as in the authors' code; held-out ages keep decimals."""
    heldout_per_age: Annotated[int, Field(ge=2, multiple_of=2)] = 500
    """Rows of each age in the held-out pool, half for validation and half for test (paper: 500)."""
    missing_ages: Literal["refuse", "allow"] = "refuse"
    """Whether an age of `age_range` may have no rows at all."""
    bad_rows: BadRows = "refuse"
    """What happens to rows that cannot be used (see `vectorset.make_vector_set`)."""
    split: Split = Split()

    @field_validator("age_range")
    @classmethod
    def _ordered(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError("the first age must not be above the last")
        return value

    @abstractmethod
    def read(self) -> VectorSet:
        """Return all rows, of every age, before any of the options above but `bad_rows` is applied."""


@settings
class Vectors(Dataset):
    """Vectors from a file of any format in `vec2uage.data.readers`."""

    path: str
    encoder: str | None = None
    """Names the encoder of a file that does not say which one made its vectors."""

    def read(self) -> VectorSet:
        """Read the file; UserError when it is missing, damaged or made by another encoder than stated."""
        return read(Path(self.path), encoder=self.encoder, bad_rows=self.bad_rows)

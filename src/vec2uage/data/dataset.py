"""Which vectors a run learns from, as settings: where they come from and how they are divided."""

import logging
from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.readers import read, reader_of
from vec2uage.data.splits import DataSplit, Division, split
from vec2uage.data.vectorset import BadRows, VectorSet

log = logging.getLogger(__name__)


class Dataset(ABC):
    """What every dataset can do; most derive from `UnsplitDataset`, which leaves only `read` to be written."""

    @abstractmethod
    def read(self) -> VectorSet:
        """Return all rows, of every age, before any option is applied but what concerns bad rows."""

    @abstractmethod
    def parts(self, split_seed: int) -> DataSplit:
        """Return the rows in three parts; UserError where they cannot be read or divided."""

    @abstractmethod
    def split_seed(self, run_seed: int) -> int:
        """Return the seed that divides the rows of the run with `run_seed`."""


@settings
class UnsplitDataset(Division, Dataset):
    """Rows that are divided when a run starts, by the options of `Division`."""

    bad_rows: BadRows = "refuse"
    """What happens to rows that cannot be used (see `vectorset.make_vector_set`)."""

    def parts(self, split_seed: int) -> DataSplit:
        """Divide the rows as the paper did (see `splits.split`)."""
        vs = _read(self)
        try:
            return split(vs, self, split_seed)
        except UserError as error:  # which names options without the group that they are of
            raise UserError(f"dataset: {error}") from None

    def split_seed(self, run_seed: int) -> int:
        """Return `split.seed`, or the run's own where that is "run"."""
        return run_seed if self.split.seed == "run" else self.split.seed


@settings
class Vectors(UnsplitDataset):
    """Vectors from a file of any format in `vec2uage.data.readers`."""

    path: str
    encoder: str | None = None
    """Names the encoder of a file that does not say which one made its vectors."""

    def check_files(self) -> None:
        """Raise UserError when there is no such file, or none that can be read."""
        reader_of(Path(self.path))

    def read(self) -> VectorSet:
        """Read the file; UserError when it is missing, damaged or made by another encoder than stated."""
        return read(Path(self.path), encoder=self.encoder, bad_rows=self.bad_rows)


@lru_cache(maxsize=1)  # a grid over split seeds reads once
def _read(dataset: Dataset) -> VectorSet:
    vs = dataset.read()
    log.info("%s rows read, ages %g-%g, encoder %s", f"{len(vs):,}", vs.ages.min(), vs.ages.max(), vs.encoder)
    return vs

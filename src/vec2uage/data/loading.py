"""From settings to the vectors of a run: read, divide and augment, once per process."""

import logging
from functools import lru_cache
from typing import Protocol, runtime_checkable

from vec2uage.data.dataset import Dataset
from vec2uage.data.splits import DataSplit
from vec2uage.data.vectorset import VectorSet

log = logging.getLogger(__name__)


@runtime_checkable
class Augmentation(Protocol):
    """Settings that turn training rows into the rows to train on."""

    def apply(self, train: VectorSet) -> VectorSet:
        """Return the rows to train on."""

    def __hash__(self) -> int: ...


@runtime_checkable
class Checkable(Protocol):
    """Settings of a dataset or an augmentation that read files."""

    def check_files(self) -> None:
        """Raise UserError where a file that is needed is not there; no vector is read."""


def check_files(dataset: Dataset, augmentation: Augmentation) -> None:
    """Raise UserError where files that a run needs are not there, as far as its settings can tell."""
    for part in (dataset, augmentation):
        if isinstance(part, Checkable):
            part.check_files()


def load_split(dataset: Dataset, augmentation: Augmentation, run_seed: int) -> DataSplit:
    """Return the vectors that the run with `run_seed` works on; equal settings share them.

    `run_seed` matters only where the dataset is divided anew for every run. Raises UserError for data that cannot be
    read or divided.
    """
    return _load(dataset, augmentation, dataset.split_seed(run_seed))


@lru_cache(maxsize=4)  # bounded: with a split per run, each one is a copy of the training vectors
def _load(dataset: Dataset, augmentation: Augmentation, split_seed: int) -> DataSplit:
    parts = dataset.parts(split_seed)
    loaded = DataSplit(augmentation.apply(parts.train), parts.validation, parts.test)
    log.info(
        "%s rows to train on, %s for validation, %s for test",
        f"{len(loaded.train):,}",
        f"{len(loaded.validation):,}",
        f"{len(loaded.test):,}",
    )
    return loaded

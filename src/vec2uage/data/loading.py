"""From settings to the vectors of a run: read, divide and augment, once per process."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vec2uage.base.encoder import check
from vec2uage.base.errors import UserError
from vec2uage.data.dataset import Dataset
from vec2uage.data.parts import Parts, relabelled
from vec2uage.data.splits import Split
from vec2uage.data.vectorset import VectorSet

log = logging.getLogger(__name__)

_ONE_ENCODER = "prepare all parts of the dataset with the same options"


@runtime_checkable
class Augmentation(Protocol):
    """Settings that turn training rows into the rows to train on."""

    def apply(self, train: VectorSet) -> VectorSet:
        """Return the rows to train on."""

    def __hash__(self) -> int: ...


@runtime_checkable
class Weighting(Protocol):
    """An augmentation that has some training rows count for more than others."""

    def weights(self, train: VectorSet) -> Float32[np.ndarray, " N"]:
        """Return what each of the rows to train on counts for, in the mean 1."""


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


def check_split(split: Split, dataset: Dataset, needed: Sequence[str]) -> None:
    """Raise UserError where a split cannot take this dataset, or does not give the parts that are needed."""
    split.check(dataset.is_divided)
    if not set(needed) <= set(split.gives):
        raise UserError(
            f"split: gives only {', '.join(split.gives)}, but needed are {', '.join(needed)}: take split=paper"
        )


def load_parts(dataset: Dataset, split: Split, augmentation: Augmentation, run_seed: int) -> Parts:
    """Return the vectors that the run with `run_seed` works on; equal settings share them.

    `run_seed` matters only where the rows are divided anew for every run. Raises UserError for data that cannot be
    read or divided.
    """
    return _load(dataset, split, augmentation, split.seed_for(run_seed))


def divided(dataset: Dataset, split: Split, seed: int) -> Parts:
    """Return the rows of a dataset in the parts that `split` makes of them with `seed`; raises what these do."""
    return relabelled(split.divide(_read(dataset), seed), dataset.label)


@lru_cache(maxsize=4)  # bounded: with a split per run, each one is a copy of the training vectors
def _load(dataset: Dataset, split: Split, augmentation: Augmentation, seed: int) -> Parts:
    parts = divided(dataset, split, seed)
    wanted = parts["train"].encoder
    for name, vs in parts.items():
        if vs.encoder != wanted:  # what is divided here is of one encoder, even if nobody knows which
            check(wanted, vs.encoder, ("the training part", f"the {name} part"), _ONE_ENCODER)
    parts = {**parts, "train": augmentation.apply(parts["train"])}
    held_out = ", ".join(f"{len(vs):,} for {name}" for name, vs in parts.items() if name != "train")
    log.info("%s rows to train on, %s", f"{len(parts['train']):,}", held_out)
    return parts


@lru_cache(maxsize=1)  # a grid over seeds of the split reads once
def _read(dataset: Dataset) -> Parts:
    return dataset.parts()

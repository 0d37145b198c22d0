"""Training data as tensors: a split, normalised, resident on the device."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from vec2uage.data.loading import load_split
from vec2uage.data.row_counts import Count, census
from vec2uage.data.vectorset import VectorSet
from vec2uage.training.batches import Rows
from vec2uage.training.normalization import Kind, Normalization, fit
from vec2uage.training.run_settings import RunSettings


@dataclass(frozen=True)
class TrainingData:
    """The three sides of a split as the network sees them, with who is who in the test set."""

    train: Rows
    validation: Rows
    test: Rows
    test_names: np.ndarray
    test_subjects: np.ndarray
    normalization: Normalization
    fingerprint: str
    encoder: str
    census: tuple[Count, ...]

    @property
    def dimension(self) -> int:
        return self.train.x.shape[1]

    def to(self, device: torch.device) -> "TrainingData":
        """Return the same data on another device, or these where they are there."""
        if self.train.x.device == device:
            return self
        sides = (self.train, self.validation, self.test)
        train, validation, test = (Rows(side.x.to(device), side.age.to(device)) for side in sides)
        return replace(self, train=train, validation=validation, test=test)


def load(run: RunSettings, device: torch.device) -> TrainingData:
    """Load, split, normalise and place the data of a run; runs with the same data share one copy."""
    data = _load(run.dataset, run.augmentation, run.split_seed, run.normalization, device)
    if not run.trainer.overfit:
        return data
    batch = data.train.head(run.trainer.batch_size)
    return TrainingData(
        batch,
        batch,
        batch,
        np.array([f"batch:{row}" for row in range(len(batch))], dtype=object),
        np.array([""] * len(batch), dtype=object),
        data.normalization,
        data.fingerprint,
        data.encoder,
        data.census,
    )


@lru_cache(maxsize=2)
def _load(dataset: object, augmentation: object, split_seed: int, kind: Kind, device: torch.device) -> TrainingData:
    split = load_split(dataset, augmentation, split_seed)  # type: ignore[arg-type]
    normalization = fit(kind, _tensor(split.train.vectors))

    def rows(side: VectorSet) -> Rows:
        return Rows(normalization(_tensor(side.vectors)).to(device), _tensor(side.ages).to(device))

    return TrainingData(
        rows(split.train),
        rows(split.validation),
        rows(split.test),
        split.test.names,
        split.test.subjects,
        normalization,
        split.fingerprint(),
        split.train.encoder,
        census(split),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    """Return values as a tensor, which shares their memory unless they lie in a mapped file: torch warns of these."""
    return torch.from_numpy(np.require(values, requirements="W"))

"""Training data as tensors: the parts of a split, normalised, resident on the device."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation, Weighting, load_parts
from vec2uage.data.parts import fingerprint
from vec2uage.data.row_counts import RowCount, row_counts
from vec2uage.data.splits import Split
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.training.inputs import Inputs, VectorInputs
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.normalization import Normalization, NormalizationKind, fit
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Model
from vec2uage.training.run_settings import RunSettings


@runtime_checkable
class Faces(Protocol):
    """What networks are trained on, and what makes their weights a model."""

    @property
    def parts(self) -> Mapping[str, Inputs]:
        """The parts of a split by name."""

    @property
    def train(self) -> Inputs:
        """The part that is learned from."""

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""

    def model_of(self, run: RunSettings, members: Tensors) -> Model:
        """Return the model of a run's networks, with these weights `[M, ...]` and all that predicting takes beside."""


@dataclass(frozen=True)
class TrainingData:
    """The parts of a split as a model sees them, by name, with the names and subjects of the test part."""

    parts: Mapping[str, VectorInputs]
    test_names: np.ndarray
    test_subjects: np.ndarray
    normalization: Normalization
    fingerprint: str
    encoder: str
    row_counts: tuple[RowCount, ...]

    @property
    def train(self) -> VectorInputs:
        """The part that is learned from."""
        return self.parts["train"]

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self.train.x.shape[1]

    def model_of(self, run: RunSettings, members: Tensors) -> NetworkModel:
        """Return the networks of a run with these weights, and with all that predicting takes beside them."""
        return NetworkModel(
            model=run.model,
            weights=members,
            dimension=self.dimension,
            normalization=self.normalization,
            encoder=self.encoder,
            precision=run.trainer.precision,
            head=run.head,
        )

    def to(self, device: torch.device) -> "TrainingData":
        """Return the same data on another device, or these where they are there."""
        if self.train.x.device == device:
            return self
        return replace(self, parts={name: part.to(device) for name, part in self.parts.items()})


def load(run: RunSettings, device: torch.device) -> TrainingData:
    """Load, split, normalise and place the data of a run; runs with the same data share one copy."""
    data = _load(run.dataset, run.split, run.augmentation, run.split_seed, run.normalization, device)
    run.head.check_labels({name: part.age for name, part in data.parts.items()})
    if not run.trainer.overfit:
        return data
    batch = replace(data.train.first(run.trainer.batch_size), weight=None)  # weights are those of the whole part
    return replace(
        data,
        parts=dict.fromkeys(data.parts, batch),
        test_names=np.array([f"batch:{row}" for row in range(len(batch))], dtype=object),
        test_subjects=np.full(len(batch), "", dtype=object),
    )


@lru_cache(maxsize=2)
def _load(
    dataset: Dataset,
    split: Split,
    augmentation: Augmentation,
    split_seed: int,
    normalization_kind: NormalizationKind,
    device: torch.device,
) -> TrainingData:
    parts = load_parts(dataset, split, augmentation, split_seed)
    train, test = parts["train"], parts["test"]
    weight = _tensor(augmentation.weights(train)) if isinstance(augmentation, Weighting) else None
    normalization = fit(normalization_kind, _tensor(train.vectors), weight)

    def inputs(part: VectorSet) -> VectorInputs:
        return VectorInputs(normalization(_tensor(part.vectors)), _tensor(needed_ages(part, "training")))

    of_parts = {name: inputs(part) for name, part in parts.items()}
    of_parts["train"] = replace(of_parts["train"], weight=weight)
    return TrainingData(
        parts={name: part.to(device) for name, part in of_parts.items()},
        test_names=test.names,
        test_subjects=test.subjects,
        normalization=normalization,
        fingerprint=fingerprint(parts),
        encoder=train.encoder,
        row_counts=row_counts(parts),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    """Return values as a tensor, which shares their memory unless they lie in a mapped file: torch warns of these."""
    return torch.from_numpy(np.require(values, requirements="W"))

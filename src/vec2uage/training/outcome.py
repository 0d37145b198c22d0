"""What training tells of a run: every epoch, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from vec2uage.predictions.base import Prediction
from vec2uage.runs.result import MemberOfStack, Status
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.range_test import Curve


@runtime_checkable
class Model(Protocol):
    """A trained model: from face vectors to what it says of them."""

    suffix: ClassVar[str]
    """Of the file that `save` writes."""

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""

    @property
    def encoder(self) -> str:
        """What made the vectors that it was trained on."""

    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        """Return a distribution of age for each of N vectors, `float32` as a dataset has them."""

    @property
    def calibration(self) -> Mapping[str, Any] | None:
        """What its file says of a calibration; `predict` makes no use of it."""

    @property
    def digest(self) -> str:
        """A SHA-256 of what was learnt: a calibration names the model that it was fitted for by it."""

    def traits(self) -> Mapping[str, str]:
        """Return what models must have in common to be joined, by the option that it comes from."""

    def joined(self, others: Sequence["Model"]) -> "Model":
        """Return this model and others of the same traits as one, which says what all of them say together."""

    def save(self, path: Path, calibration: Mapping[str, Any] | None = None) -> None:
        """Write the model to `path`, whole or not at all, and beside it (as JSON holds it) what calibrates it.

        Raises UserError where it cannot be one file.
        """


@dataclass(frozen=True)
class Epoch:
    """One epoch of one run; scores are named as in `RunResult`.

    Those of the training part are running means over the epoch's own steps, sample-weighted.
    """

    number: int
    lr: float
    scores: dict[str, float]


@dataclass
class Outcome:
    """What became of one run; scores (named as in `RunResult`), weights and posterior are those of its best epoch."""

    status: Status = "running"
    reason: str | None = None
    lr: float | None = None
    curve: Curve | None = None
    epochs: int = 0
    best_epoch: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    prediction: Prediction | None = None
    """Of the test part."""
    model: Model | None = None
    weights: Tensors = field(default_factory=dict)
    posterior: Tensors = field(default_factory=dict)
    """What `Averaging.members` draws from beside the weights."""
    members: list[MemberOfStack] = field(default_factory=list)
    """Of a stack of models."""
    seconds: float = 0.0

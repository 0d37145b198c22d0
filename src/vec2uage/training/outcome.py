"""What training tells of a run: every epoch, and what became of it."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from vec2uage.runs.result import Status
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.range_test import Curve


@dataclass(frozen=True)
class Epoch:
    """One epoch of one run; train figures are running means over the epoch's own steps, sample-weighted."""

    number: int
    lr: float
    train_loss: float
    val_loss: float
    train_mae: float
    val_mae: float


@dataclass
class Outcome:
    """What became of one run; losses, errors (years) and weights are those of the epoch with the best val_loss."""

    status: Status = "interrupted"
    reason: str | None = None
    lr: float | None = None
    curve: Curve | None = None
    epochs: int = 0
    best_epoch: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    test_loss: float | None = None
    train_mae: float | None = None
    val_mae: float | None = None
    test_mae: float | None = None
    predictions: Float[np.ndarray, " N"] | None = None
    weights: Tensors = field(default_factory=dict)
    seconds: float = 0.0

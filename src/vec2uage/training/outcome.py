"""What training tells of a run: every epoch, and what became of it."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from vec2uage.runs.result import Status
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.range_test import Curve


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
    """What became of one run; scores (named as in `RunResult`) and weights are those of its best epoch."""

    status: Status = "interrupted"
    reason: str | None = None
    lr: float | None = None
    curve: Curve | None = None
    epochs: int = 0
    best_epoch: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    predictions: Float[np.ndarray, " N"] | None = None
    weights: Tensors = field(default_factory=dict)
    seconds: float = 0.0

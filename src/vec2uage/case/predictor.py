"""A model as a case uses it: found and checked before any work, then from vectors to what stands in a row."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32

from vec2uage.base.encoder import check
from vec2uage.base.errors import UserError
from vec2uage.calibration.base import Columns
from vec2uage.calibration.recall import Threshold
from vec2uage.evaluation import ensemble
from vec2uage.evaluation.evaluate_settings import Ensemble, Foreign
from vec2uage.predictions.minors import ADULT, boundary, p_minor
from vec2uage.training.calibrated import Calibrated, as_saved
from vec2uage.training.learners.registry import READERS

if TYPE_CHECKING:
    from vec2uage.evaluation.reference import Reference
    from vec2uage.evaluation.statement import Statement

log = logging.getLogger(__name__)

ROWS = 32
"""Faces that a model is asked for at once, always: libraries choose the order of sums by the size of a matrix."""
LEVEL = 0.9
"""Of the interval: the share of faces whose age should lie in it."""
DEFAULT = "outputs/model.safetensors"
"""Where `vec2uage.predict` looks for a model; conf/predict.yaml names it, too."""


@dataclass(frozen=True)
class Estimates:
    """What a model says of B faces, a number of each."""

    age: Float[np.ndarray, " B"]
    """Years: the medians."""
    low: Float[np.ndarray, " B"]
    """Years: where the central 90% intervals begin; NaN where the model gives points."""
    high: Float[np.ndarray, " B"]
    p_minor: Float[np.ndarray, " B"] | None
    """P(age < 18); None where the model gives points."""
    flagged: Bool[np.ndarray, " B"] | None
    """Which are at or above the guaranteed threshold; None where there is none."""
    distance: Float[np.ndarray, " B"] | None
    """From the faces of training; None where no reference is known."""


@dataclass(frozen=True)
class Predictor:
    """A model with its calibration, and what was found out about it."""

    calibrated: Calibrated
    digest: str
    """Of the model and its calibration."""
    boundary: float
    """The line between minors and adults on the scale of the ages it has learnt (`predictions.minors.boundary`)."""
    statement: "Statement | None" = None
    reference: "Reference | None" = None

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self.calibrated.model.dimension

    @property
    def model_encoder(self) -> str:
        """What made the vectors that the model has learnt from."""
        return self.calibrated.model.encoder

    @property
    def threshold(self) -> Threshold | None:
        """The threshold at and above which faces are flagged as minors, if the model comes with one."""
        calibration = self.calibrated.calibration
        return None if calibration is None else calibration.threshold

    @property
    def calibrated_by(self) -> str | None:
        """What people should know of its calibration, None where there is none."""
        calibration = self.calibrated.calibration
        return None if calibration is None else calibration.text()

    def __call__(self, vectors: Float32[np.ndarray, "B D"], columns: Columns) -> Estimates:
        """Return what the model says of B faces, of which `columns` tells what is known, "" where it is not.

        A face's numbers are the same bits whatever the others, and however many they are.
        Raises UserError where the model gives no number.
        """
        starts = range(0, len(vectors), ROWS)
        return _joined([self._of_block(vectors[k : k + ROWS], _part(columns, k)) for k in starts])

    def _of_block(self, vectors: Float32[np.ndarray, "b D"], columns: Columns) -> Estimates:
        count = len(vectors)
        rows = np.arange(ROWS) % count  # the last ones stand in for faces that are not there
        padded = np.ascontiguousarray(vectors[rows])
        known = {name: values[rows] for name, values in columns.items()}
        prediction = self.calibrated(self.calibrated.model.predict(padded), known)
        age = prediction.median.astype(np.float64)
        if not np.isfinite(age).all():
            raise UserError("the model gives no number for some faces: its training diverged; take another one")
        low, high = prediction.interval(LEVEL) if prediction.has_spread else (np.full(ROWS, np.nan),) * 2
        minor = p_minor(prediction, self.boundary) if prediction.has_spread else None
        flagged = self.calibrated.flagged(prediction)
        distance = None if self.reference is None else self.reference.distance(padded)
        return Estimates(
            age=age[:count],
            low=low[:count].astype(np.float64),
            high=high[:count].astype(np.float64),
            p_minor=None if minor is None else minor[:count].astype(np.float64),
            flagged=None if flagged is None else flagged[:count],
            distance=None if distance is None else distance[:count].astype(np.float64),
        )


def _part(columns: Columns, start: int) -> Columns:
    return {name: values[start : start + ROWS] for name, values in columns.items()}


def _joined(blocks: Sequence[Estimates]) -> Estimates:
    def column(name: str) -> np.ndarray | None:
        parts = [getattr(block, name) for block in blocks]
        return None if any(part is None for part in parts) else np.concatenate([np.zeros(0), *parts])

    flagged = column("flagged")
    return Estimates(
        **{name: column(name) for name in ("age", "low", "high", "p_minor", "distance")},
        flagged=None if flagged is None else flagged.astype(bool),
    )

"""A model as a case uses it: from the vectors of faces to what stands in their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from vec2uage.base.errors import UserError
from vec2uage.calibration.recall import Threshold
from vec2uage.case.records import FaceResult
from vec2uage.evaluation.reference import Reference
from vec2uage.evaluation.statement import Statement
from vec2uage.faces.records import Face, Measures
from vec2uage.predictions.minors import p_minor
from vec2uage.training.calibrated import Calibrated

ROWS = 32
"""Faces that a model is asked for at once, always: libraries choose the order of sums by the size of a matrix."""
LEVEL = 0.9
"""Of the interval: the share of faces whose age should lie in it."""


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

    def of_face(
        self, row: int, number: int, face: Face, measures: Measures, vector: Float32[np.ndarray, " D"] | None
    ) -> FaceResult:
        """Return the result of the face that had this row, the `number`-th of its file; its `vector` is kept if given.

        Nothing is said of what makes it doubtful.
        """
        return FaceResult(
            number=number,
            face=face,
            measures=measures,
            age=float(self.age[row]),
            low=float(self.low[row]),
            high=float(self.high[row]),
            p_minor=None if self.p_minor is None else float(self.p_minor[row]),
            flagged=None if self.flagged is None else bool(self.flagged[row]),
            distance=None if self.distance is None else float(self.distance[row]),
            vector=None if vector is None else vector.astype("<f4").tobytes(),
        )


@dataclass(frozen=True)
class Predictor:
    """A model with its calibration, and what was found out about it."""

    calibrated: Calibrated
    digest: str
    """Of the model and its calibration."""
    boundary: float
    """The line between minors and adults on the scale of the ages it has learnt (`predictions.minors.boundary`)."""
    statement: Statement | None = None
    reference: Reference | None = None

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

    @property
    def inputs(self) -> dict[str, str]:
        """Name what its numbers depend on besides the vectors."""
        reference = None if self.statement is None else self.statement.reference
        return {"model": self.digest, "reference": reference or "none", "boundary": f"{self.boundary:g} years"}

    def __call__(self, vectors: Float32[np.ndarray, "B D"]) -> Estimates:
        """Return what the model says of B faces, one at least.

        A face's numbers are the same bits whatever the others, and however many they are.
        Raises UserError where the model gives no number.
        """
        blocks = np.split(vectors, range(ROWS, len(vectors), ROWS))
        return _joined([self._of_block(block) for block in blocks])

    def _of_block(self, block: Float32[np.ndarray, "b D"]) -> Estimates:
        count = len(block)
        padded = block[np.resize(np.arange(count), ROWS)]  # the same rows again stand for faces that are not there
        own = self.calibrated.model.predict(padded)
        prediction = self.calibrated(own, {})
        age = prediction.median.astype(np.float64)
        if not np.isfinite(age).all():
            raise UserError("the model gives no number for some faces: its training diverged; take another one")
        low, high = prediction.interval(LEVEL) if prediction.has_spread else (np.full(ROWS, np.nan),) * 2
        minor = p_minor(prediction, self.boundary) if prediction.has_spread else None
        flagged = self.calibrated.flagged(own)
        distance = None if self.reference is None else self.reference.distance(padded)
        return Estimates(
            age=age[:count],
            low=low[:count].astype(np.float64),
            high=high[:count].astype(np.float64),
            p_minor=None if minor is None else minor[:count].astype(np.float64),
            flagged=None if flagged is None else flagged[:count],
            distance=None if distance is None else distance[:count].astype(np.float64),
        )


def _joined(blocks: Sequence[Estimates]) -> Estimates:
    def column(name: str) -> Any:
        parts = [getattr(block, name) for block in blocks]
        return None if parts[0] is None else np.concatenate(parts)

    return Estimates(**{field.name: column(field.name) for field in fields(Estimates)})

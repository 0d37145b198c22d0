"""A model together with its calibration: what the two say of faces, and the one file that holds both."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from vec2uage.base.atomic import json_text
from vec2uage.calibration.base import Columns
from vec2uage.calibration.saved import SavedCalibration, read
from vec2uage.predictions.base import Prediction
from vec2uage.training.outcome import Model


@dataclass(frozen=True)
class Calibrated:
    """A model, and what was fitted for it to make its distributions honest and to flag minors, if anything was."""

    model: Model
    calibration: SavedCalibration | None = None

    @property
    def digest(self) -> str:
        """A SHA-256 of what was learnt and fitted, and of how it is put to use: a statement names both by it."""
        calibration = None if self.calibration is None else self.calibration.to_json()
        return hashlib.sha256(json_text([self.model.digest, self.model.traits(), calibration]).encode()).hexdigest()

    def __call__(self, prediction: Prediction, columns: Columns) -> Prediction:
        """Return what becomes of the model's prediction for N faces; `columns` tells of them what the data knows."""
        return prediction if self.calibration is None else self.calibration(prediction, columns)

    def flagged(self, own: Prediction) -> Bool[np.ndarray, " N"] | None:
        """Tell which of N faces are flagged as minors by the model's own prediction; None where nobody is to be."""
        threshold = None if self.calibration is None else self.calibration.threshold
        return None if threshold is None else threshold.flagged(own)

    def save(self, path: Path) -> None:
        """Write both to one file, whole or not at all."""
        plain: Mapping[str, Any] | None = None if self.calibration is None else self.calibration.to_json()
        self.model.save(path, plain)


def as_saved(model: Model, where: str) -> Calibrated:
    """Return a model with the calibration that its file holds, if it holds one; `where` is what messages call it.

    Raises UserError where that is damaged, or was fitted for another model.
    """
    plain = model.calibration
    return Calibrated(model, None if plain is None else read(plain, model.digest, where))

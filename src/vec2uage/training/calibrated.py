"""A model together with its calibration: what the two say of faces, and the one file that holds both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vec2uage.calibration.base import Columns
from vec2uage.calibration.saved import SavedCalibration, read
from vec2uage.predictions.base import Prediction
from vec2uage.training.learners.registry import READERS
from vec2uage.training.outcome import Model


@dataclass(frozen=True)
class Calibrated:
    """A model, and what was fitted for it to make its distributions honest and to flag minors, if anything was."""

    model: Model
    calibration: SavedCalibration | None = None

    def __call__(self, prediction: Prediction, columns: Columns) -> Prediction:
        """Return what becomes of the model's prediction for N faces; `columns` tells of them what the data knows."""
        return prediction if self.calibration is None else self.calibration(prediction, columns)

    def save(self, path: Path) -> None:
        """Write both to one file, whole or not at all."""
        plain: Mapping[str, Any] | None = None if self.calibration is None else self.calibration.to_json()
        self.model.save(path, plain)


def saved_with(model: Model, path: Path) -> Calibrated:
    """Return a model that was read from `path` with the calibration that the file holds for it, if it holds one.

    Raises UserError where that is damaged, or was fitted for another model.
    """
    reader = READERS.get(path.suffix)
    plain = None if reader is None else reader.calibration(path)
    return Calibrated(model, None if plain is None else read(plain, model.digest, str(path)))

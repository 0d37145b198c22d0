"""What a calibration is: fitted to predictions for faces of known ages, it turns others into calibrated ones."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Real, Shaped

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.predictions.base import Prediction

Columns = Mapping[str, Shaped[np.ndarray, " N"]]
"""What is known of N faces, by name (`gender`, `source`): texts, "" where it is not known."""


class FittedCalibration(ABC):
    """A calibration with what it has learnt; kept as JSON with the model that it was fitted for.

    A subclass is made by `settings` of what JSON holds; by its field `kind` it is known there (`fitted.AnyFitted`).
    """

    kind: str
    columns: tuple[str, ...] = ()
    """What it has to know of each face by name."""

    @abstractmethod
    def __call__(self, prediction: Prediction, columns: Columns) -> Prediction:
        """Return the calibrated predictions for N faces; UserError where `columns` or a spread is missing."""

    @abstractmethod
    def text(self) -> str:
        """Return what people should know of it, in a few lines."""

    def about(self) -> dict[str, Any]:
        """Return what evaluation.json tells of it."""
        return self.to_json()

    def to_json(self) -> dict[str, Any]:
        """Return what `fitted.from_json` reads."""
        from pydantic import TypeAdapter

        plain: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return plain


@settings
class Calibration(ABC):
    """The config group `calibrate`: whether and how a model is calibrated before it is judged, and on which faces.

    A calibration needs `fit` alone.
    """

    fits: ClassVar[bool] = True
    """Whether one is fitted."""
    takes_saved: ClassVar[bool] = False
    """Whether the model's own is applied that is saved with it, if any."""

    part: Literal["calibration", "validation"] = "calibration"
    """The part of the split that it is fitted to."""
    path: str | None = None
    """A file of vectors that it is fitted to instead."""

    @abstractmethod
    def fit(self, prediction: Prediction, ages: Real[np.ndarray, " N"], columns: Columns) -> FittedCalibration:
        """Fit to predictions for N faces of known ages in years, none of which the model has learnt from.

        Raises UserError where there are too few, or the predictions are not of a kind that can be calibrated so.
        """


@settings
class AsSaved(Calibration):
    """Takes the calibration and the threshold that are saved with the model, if any."""

    fits: ClassVar[bool] = False
    takes_saved: ClassVar[bool] = True

    def fit(self, prediction: Prediction, ages: Real[np.ndarray, " N"], columns: Columns) -> FittedCalibration:
        raise UserError("calibrate=saved fits no calibration: take calibrate=conformal or calibrate=temperature")


@settings
class Uncalibrated(Calibration):
    """Takes predictions as the model makes them, also where a calibration is saved with it."""

    fits: ClassVar[bool] = False

    def fit(self, prediction: Prediction, ages: Real[np.ndarray, " N"], columns: Columns) -> FittedCalibration:
        raise UserError("calibrate=none fits no calibration: take calibrate=conformal or calibrate=temperature")

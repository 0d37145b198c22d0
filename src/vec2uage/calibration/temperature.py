"""Temperature scaling: one number by which all probabilities become more or less sure (Guo et al. 2017)."""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Real
from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.calibration.base import Calibration, Columns, FittedCalibration
from vec2uage.config.settings import settings
from vec2uage.predictions.base import Prediction

_COLDEST, _HOTTEST = 0.05, 20.0
_LEAST_DENSITY = -50.0  # its logarithm: one face far off must not decide for all


@settings
class Temperature(Calibration):
    """Raises densities to the power 1/T, with the T that gives the faces' ages the highest mean log density."""

    def fit(self, prediction: Prediction, ages: Real[np.ndarray, " N"], columns: Columns) -> "FittedTemperature":
        """Fit T between 0.05 and 20; UserError for predictions that have no probabilities."""
        from scipy.optimize import minimize_scalar

        def loss(log_temperature: float) -> float:
            densities = prediction.tempered(float(np.exp(log_temperature))).log_density(ages)
            return -float(np.maximum(densities, _LEAST_DENSITY).mean())

        if not prediction.has_spread:
            raise UserError(
                "calibrate=temperature: the model gives one number a face, and has no probabilities to make more or "
                "less sure: take calibrate=conformal, or a model of another head"
            )
        bounds = np.log([_COLDEST, _HOTTEST])
        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
        if not np.isfinite(found.fun):
            raise UserError("calibrate=temperature: the model gives no number for some of the faces to calibrate on")
        return FittedTemperature(temperature=float(np.exp(found.x)), before=loss(0.0), after=float(found.fun))


@settings
class FittedTemperature(FittedCalibration):
    """A temperature, and the mean negative log density (nats) of the faces it was fitted to, before and after."""

    kind: Literal["temperature"] = "temperature"
    temperature: Annotated[float, Field(ge=_COLDEST, le=_HOTTEST)]
    before: float
    after: float

    def __call__(self, prediction: Prediction, columns: Columns) -> Prediction:
        """Return the tempered predictions."""
        return prediction.tempered(self.temperature)

    def text(self) -> str:
        """Return the temperature and what it does."""
        return (
            f"temperature {self.temperature:.3f} ({'less' if self.temperature > 1 else 'more'} sure than the model): "
            f"log score {self.before:.3f} -> {self.after:.3f} nats"
        )

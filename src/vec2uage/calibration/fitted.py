"""Fitted calibrations as JSON: which kinds there are, and how what a file says is checked."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from vec2uage.calibration.conformal import FittedConformal
from vec2uage.calibration.temperature import FittedTemperature

AnyFitted = Annotated[FittedConformal | FittedTemperature, Field(discriminator="kind")]
"""A calibration of your own is one file, and stands here."""


def from_json(plain: Any) -> FittedConformal | FittedTemperature:
    """Return what `to_json` was called on; pydantic's ValidationError, a ValueError, where it is not such."""
    fitted: FittedConformal | FittedTemperature = TypeAdapter(AnyFitted).validate_python(plain)
    return fitted

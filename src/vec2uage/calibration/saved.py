"""What of a calibration is saved with a model: for which model it is, what it was fitted to, and what came of it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from vec2uage.base.digest import with_digest, without_digest
from vec2uage.base.errors import UserError
from vec2uage.calibration.base import Columns
from vec2uage.calibration.fitted import AnyFitted
from vec2uage.calibration.recall import Threshold
from vec2uage.config.settings import settings
from vec2uage.predictions.base import Prediction

DIGEST = 16
"""Hex digits of the digest of a vector."""


@settings
class SavedCalibration:
    """A fitted calibration, a threshold, or both, and what they belong to."""

    model: str
    """The digest of the model that it was fitted for."""
    encoder: str
    """What made the vectors it was fitted to."""
    tta: NonNegativeInt
    """How many augmented selves a prediction was made of, too."""
    rows: str
    """Which faces it was fitted to, for people."""
    faces: PositiveInt
    data_fingerprint: str
    """Of these faces."""
    vectors: Annotated[str, Field(pattern=rf"^([0-9a-f]{{{DIGEST}}})+$")]
    """Digests of the vectors of these faces, one after the other: by them it is known whether such are judged."""
    boundary: FiniteFloat
    """The line between minors and adults on the scale of their ages (`predictions.minors.boundary`)."""
    fitted: AnyFitted | None
    threshold: Threshold | None

    @property
    def digests(self) -> set[str]:
        """The digests of the vectors of the faces it was fitted to."""
        return {self.vectors[first : first + DIGEST] for first in range(0, len(self.vectors), DIGEST)}

    def text(self) -> str:
        """Return what people should know of it."""
        parts = [part.text() for part in (self.fitted, self.threshold) if part is not None]
        return "\n".join([f"calibrated on {self.faces:,} faces of {self.rows}", *parts])

    def about(self) -> dict[str, Any]:
        """Return what evaluation.json tells of it."""
        plain = TypeAdapter(SavedCalibration).dump_python(self, mode="json")
        del plain["vectors"]
        return plain | {"fitted": None if self.fitted is None else self.fitted.about()}

    def __call__(self, prediction: Prediction, columns: Columns) -> Prediction:
        """Return the calibrated predictions for N faces."""
        return prediction if self.fitted is None else self.fitted(prediction, columns)

    def to_json(self) -> dict[str, Any]:
        """Return what `read` reads, with its digest."""
        return with_digest(TypeAdapter(SavedCalibration).dump_python(self, mode="json"))


def read(plain: Mapping[str, Any], model: str, where: str) -> SavedCalibration:
    """Return the calibration that a file holds for the model with this digest; `where` is what messages call it.

    Raises UserError where it is damaged, of another version, or was fitted for another model.
    """
    advice = "take it as it is without its calibration by calibrate=none, or calibrate it anew"
    try:
        saved: SavedCalibration = TypeAdapter(SavedCalibration).validate_python(without_digest(plain))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))[:100]
        raise UserError(
            f"{where}: its calibration is damaged or of another version ({at}: {first['msg']}): {advice}"
        ) from None
    except ValueError as error:
        raise UserError(f"{where}: its calibration is damaged ({error}): {advice}") from None
    if saved.model != model:
        raise UserError(f"{where}: its calibration was fitted for another model: {advice}")
    return saved

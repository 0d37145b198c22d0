"""Which faces are too small, too blurred or too badly exposed: stands for the paper's discarding by hand (3.3)."""

import cmath
import math
from abc import ABC, abstractmethod
from typing import Annotated

import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.faces.crop import clamped, resize
from vec2uage.faces.records import Face, Measures, Refused

SIDE = 128
"""Sharpness and exposure are measured on the face at this size, so that faces of all sizes compare."""


@settings
class Quality(ABC):
    """What is measured of a face, and which measures refuse it."""

    @abstractmethod
    def measure(self, image: UInt8[np.ndarray, "H W 3"], face: Face) -> Measures:
        """Measure a face in its upright RGB image; what is measured depends on no setting.

        Raises Refused("too_small", ...) where the box lies outside the image.
        """

    @abstractmethod
    def check(self, measures: Measures) -> Refused | None:
        """Return Refused("too_small" or "low_quality", "<code>: <measure and threshold>") for a bad face."""


@settings
class NoQuality(Quality):
    """Measures and refuses nothing."""

    def measure(self, image: UInt8[np.ndarray, "H W 3"], face: Face) -> Measures:
        return {}

    def check(self, measures: Measures) -> Refused | None:
        return None


@settings
class BasicQuality(Quality):
    """Refuses faces by size, sharpness and exposure, in this order."""

    min_size: Annotated[int, Field(ge=1)]
    """Pixels of the shorter side of the box within the image."""
    min_sharpness: Annotated[float, Field(ge=0)]
    """Variance of the Laplacian of the grey face (0-255) at 128 x 128 pixels (Pech-Pacheco et al., ICPR 2000)."""
    min_brightness: Annotated[float, Field(ge=0, le=255)]
    """Mean grey level, 0-255."""
    max_brightness: Annotated[float, Field(ge=0, le=255)]
    max_clipped: Annotated[float, Field(ge=0, le=1)]
    """Share of pixels that are nearly black (below 8) or nearly white (above 247)."""

    def measure(self, image: UInt8[np.ndarray, "H W 3"], face: Face) -> Measures:
        return _size_and_light(image, face)

    def check(self, measures: Measures) -> Refused | None:
        size, sharpness = measures["size"], measures["sharpness"]
        brightness, clipped = measures["brightness"], measures["clipped"]
        if size < self.min_size:
            return Refused("too_small", f"size: {size:.0f} pixels, below {self.min_size}")
        if sharpness < self.min_sharpness:
            return Refused("low_quality", f"blur: sharpness {sharpness:g} below {self.min_sharpness:g}")
        if brightness < self.min_brightness:
            return Refused("low_quality", f"dark: brightness {brightness:g} below {self.min_brightness:g}")
        if brightness > self.max_brightness:
            return Refused("low_quality", f"bright: brightness {brightness:g} above {self.max_brightness:g}")
        if clipped > self.max_clipped:
            return Refused("low_quality", f"exposure: {clipped:.1%} black or white, above {self.max_clipped:.1%}")
        return None


@settings
class MeasuredQuality(Quality):
    """Measures what BasicQuality does, the detector's score and, from points, the head's pose; refuses nothing."""

    def measure(self, image: UInt8[np.ndarray, "H W 3"], face: Face) -> Measures:
        """Measure a face; without points there are no `eyes`, `roll` and `yaw`, without a score no `score`."""
        measures = _size_and_light(image, face) | _pose(face)
        return measures if math.isnan(face.score) else measures | {"score": round(face.score, 4)}

    def check(self, measures: Measures) -> Refused | None:
        return None


def _size_and_light(image: UInt8[np.ndarray, "H W 3"], face: Face) -> Measures:
    left, top, right, bottom = clamped(image, face)
    grey = _grey(resize(image[top:bottom, left:right], SIDE, SIDE))
    return {
        "size": float(min(right - left, bottom - top)),
        "sharpness": round(float(_laplacian(grey).var(dtype=np.float64)), 2),
        "brightness": round(float(grey.mean(dtype=np.float64)), 2),
        "clipped": round(float(((grey < 8) | (grey > 247)).mean()), 4),
    }


NOSE = 0.43
"""How far the tip of the nose lies before the eyes, as a share of the distance between them: of the mean head that
examples of head pose by OpenCV's solvePnP use."""


def _pose(face: Face) -> Measures:
    """Return `eyes` (pixels between them), `roll` and `yaw` (degrees): clockwise, and to the right in the picture."""
    if face.points is None:
        return {}
    left_eye, right_eye, nose, *_ = (complex(x, y) for x, y in face.points.all())
    eyes, aside = right_eye - left_eye, nose - (left_eye + right_eye) / 2
    if not eyes:
        return {"eyes": 0.0}
    # turned by an angle a, the eyes are cos(a) apart, and the nose NOSE * sin(a) off their middle
    yaw = math.atan((aside / eyes).real / NOSE)
    return {
        "eyes": round(abs(eyes), 1),
        "roll": round(math.degrees(cmath.phase(eyes)), 1),
        "yaw": round(math.degrees(yaw), 1),
    }


def _grey(image: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W"]:
    return image @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def _laplacian(grey: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "h w"]:
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return neighbours - 4 * grey[1:-1, 1:-1]

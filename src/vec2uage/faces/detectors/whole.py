"""For images that are faces already: the whole image is the box."""

import math

import numpy as np
from jaxtyping import UInt8

from vec2uage.config.settings import settings
from vec2uage.faces.detectors.base import Detect, Detector
from vec2uage.faces.records import Face


@settings
class WholeImage(Detector):
    """Finds in every image one face, which fills it; its score is NaN."""

    def open(self) -> Detect:
        return _whole

    def fingerprint(self) -> str:
        return "none"


def _whole(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
    return [Face(0, 0, image.shape[1], image.shape[0], math.nan, "none")]

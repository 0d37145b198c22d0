"""The paper's detector: dlib's histograms of oriented gradients, and where they find nothing, its CNN.

HOG: Dalal and Triggs, 2005; CNN: max-margin object detection, King, arXiv:1502.00046.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.faces.detectors.base import Detect, Detector, encoder_options, fingerprint, with_max_side
from vec2uage.faces.model_files import packaged, sha256
from vec2uage.faces.records import Face

SMALLEST = 40
"""Pixels of the shorter side below which the CNN is not asked: half the least face it knows. Below 10, dlib 20.0.1
raises or, when the image is narrow, writes beyond its memory."""

MaxSide = Annotated[int, Field(ge=80)] | None


@settings
class Dlib(Detector):
    """dlib's frontal face detector, then its CNN on the images in which that finds no face."""

    upsample: Annotated[int, Field(ge=0, le=4)]
    """How often the image is doubled before HOG, which finds faces from 80 pixels on, 40 when doubled once."""
    max_side: MaxSide
    """Images with a longer side are shrunk to it (before any doubling); None never shrinks."""
    fallback: Literal["cnn", "none"]
    cnn_upsample: Annotated[int, Field(ge=0, le=4)]
    cnn_max_side: MaxSide
    weights: str | None
    """The CNN's file; None takes the one in the package face-recognition-models."""

    def open(self) -> Detect:
        import dlib

        hog = dlib.get_frontal_face_detector()

        def find_hog(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
            boxes, scores, _ = hog.run(image, self.upsample, 0.0)
            return [_face(box, score, "hog") for box, score in zip(boxes, scores, strict=True)]

        first = with_max_side(find_hog, self.max_side)
        if self.fallback == "none":
            return first
        path = self._weights()
        try:
            cnn = dlib.cnn_face_detection_model_v1(str(path))
        except RuntimeError as error:
            raise UserError(f"detector.weights={path} is no face detector of dlib's ({error})") from None

        def find_cnn(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
            if min(image.shape[:2]) << self.cnn_upsample < SMALLEST:
                return []
            return [_face(found.rect, found.confidence, "cnn") for found in cnn(image, self.cnn_upsample)]

        second = with_max_side(find_cnn, self.cnn_max_side)
        return lambda image: first(image) or second(image)

    def fingerprint(self) -> str:
        import dlib

        # the HOG model is part of the library
        hog = {"dlib": dlib.__version__, "upsample": self.upsample, "max_side": self.max_side}
        if self.fallback == "none":
            return fingerprint("dlib-hog", **hog)
        weights = sha256(self._weights())[:16]
        cnn = {"upsample": self.cnn_upsample, "max_side": self.cnn_max_side, "weights": weights}
        return fingerprint("dlib-hog-cnn", **hog, cnn=cnn)

    def encoder_options(self) -> dict[str, str]:
        own = None if self.weights is None or self.fallback == "none" else sha256(self._weights())[:8]
        return encoder_options("dlib", asdict(self) | {"weights": own})

    def _weights(self) -> Path:
        if self.weights is None:
            install = "face-recognition-models, or set detector.weights or detector.fallback=none"
            return packaged("face_recognition_models", "models/mmod_human_face_detector.dat", install)
        path = Path(self.weights)
        if not path.is_file():
            raise UserError(f"the weights of dlib's CNN are not at {path}: correct detector.weights")
        return path


def _face(box: Any, score: float, detector: str) -> Face:
    return Face(box.left(), box.top(), box.right() + 1, box.bottom() + 1, float(score), detector)

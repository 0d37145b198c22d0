"""Photographs that lie on a side or upside down: turned until their faces are upright, and boxes turned back."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from vec2uage.faces.detectors.base import Detect
from vec2uage.faces.records import Face, Point, Points

Turn = Literal[90, 180, 270]
"""Degrees clockwise."""


def turned(image: UInt8[np.ndarray, "H W 3"], turn: int) -> UInt8[np.ndarray, "h w 3"]:
    """Turn an image clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(image, -turn // 90))


def find_turned(
    detect: Detect,
    image: UInt8[np.ndarray, "H W 3"],
    turns: Sequence[int],
    is_upright: Callable[[float], bool] = lambda score: True,
) -> list[Face]:
    """Find the faces of an image as it is and, until the surest one's score is that of an upright one, after each turn.

    Returns the faces of the turn that has the surest one, the first of several, each with its `turn`. A detector may
    find faces that lie on a side or upside down, but is less sure of them, and its points are wrong then.
    """
    best: list[Face] = []
    for turn in (0, *turns):
        faces = [replace(face, turn=turn) for face in detect(turned(image, turn))]
        if not best or (faces and _surest(faces) > _surest(best)):
            best = faces
        if best and is_upright(_surest(best)):
            break
    return best


def _surest(faces: list[Face]) -> float:
    """Return the highest score; a face without one, where nothing is detected, is sure."""
    return max(math.inf if math.isnan(face.score) else face.score for face in faces)


def in_image(face: Face, image_size: tuple[int, int]) -> Face:
    """Return a face, found in a turned image, as it lies in the upright image of `image_size` (height, width).

    It still says by how much the image was turned. Its points keep their names: the left eye is the one that is left
    when the face is upright.
    """
    height, width = image_size

    def back(point: Point) -> Point:
        x, y = point
        return {0: (x, y), 90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[face.turn]

    corners = [back((float(x), float(y))) for x, y in ((face.left, face.top), (face.right, face.bottom))]
    (left, right), (top, bottom) = sorted(int(x) for x, _ in corners), sorted(int(y) for _, y in corners)
    points = face.points and Points(*map(back, face.points.all()))
    return replace(face, left=left, top=top, right=right, bottom=bottom, points=points)

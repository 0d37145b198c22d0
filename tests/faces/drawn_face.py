"""Drawn faces that detectors take for real ones, so that tests need no photographs of people."""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter

BACKGROUND = (120, 140, 160)
HAIR = ((50, 35, 25), (20, 20, 24), (95, 70, 40))
SKIN = ((224, 172, 140), (198, 134, 98), (240, 200, 176), (150, 100, 74))
# Proportions at which dlib's HOG detector is surest, found by a random search; shares of the picture's side.
HEAD, EYE, BROW, NOSE, MOUTH = (0.299, 0.411), (0.079, 0.031), (0.080, 0.0123), (0.069, 0.03), (0.070, 0.0214)
EYES_AT, BROWS_AT, NOSE_AT, MOUTH_AT = (0.151, -0.077), -0.180, 0.128, 0.257


@cache  # most of what many tests take is drawing
def draw_face(size: int, seed: int = 0) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Draw a frontal face, about 0.7 of the picture wide, on `BACKGROUND`.

    Every seed is another person: colours and proportions differ. HOG with one upsampling, dlib's CNN and MTCNN find
    each exactly once from 80 pixels on.
    """
    generator = np.random.default_rng(seed)
    skin, hair = SKIN[seed % len(SKIN)], HAIR[seed % len(HAIR)]
    wide, spread, brow, nose, mouth = 1 + 0.06 * generator.uniform(-1, 1, 5) * (seed > 0)
    side = 4 * size
    picture = Image.new("RGB", (side, side), BACKGROUND)
    pen = ImageDraw.Draw(picture)

    def box(x: float, y: float, rx: float, ry: float) -> list[float]:
        return [(0.5 + v) * side for v in (x - rx, y - ry, x + rx, y + ry)]

    def ellipse(x: float, y: float, rx: float, ry: float, colour: tuple[int, ...]) -> None:
        pen.ellipse(box(x, y, rx, ry), fill=colour)

    def shaded(share: float) -> tuple[int, ...]:
        return tuple(min(255, int(v * share)) for v in skin)

    head = HEAD[0] * wide
    ellipse(0, -0.06, head * 1.12, 0.433, hair)
    ellipse(0, 0.02, head, HEAD[1], skin)
    ellipse(0, -0.42, head * 0.95, 0.16, hair)
    ellipse(0, NOSE_AT * nose - 0.02, *NOSE, shaded(1.06))
    for sign in (-1, 1):
        x, y = sign * EYES_AT[0] * spread, EYES_AT[1]
        ellipse(x, y, EYE[0] * 1.5, EYE[1] * 2.2, shaded(0.82))
        ellipse(x, y, *EYE, (240, 240, 240))
        ellipse(x, y, EYE[1], EYE[1], (40, 30, 30))
        pen.arc(box(x, y, *EYE), 180, 360, fill=(40, 30, 30), width=int(0.012 * side))
        ellipse(x, BROWS_AT * brow, *BROW, hair)
        ellipse(sign * NOSE[0] * 0.6, NOSE_AT * nose, NOSE[0] * 0.35, 0.013, shaded(0.45))
    ellipse(0, MOUTH_AT, MOUTH[0] * mouth, MOUTH[1], (150, 60, 60))
    ellipse(0, MOUTH_AT, MOUTH[0] * mouth * 0.95, MOUTH[1] * 0.25, (80, 30, 30))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.008 * side)).resize((size, size), Image.Resampling.BOX))


def draw_scene(height: int, width: int, *faces: tuple[int, int, int]) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Draw faces on one background; each is the (left, top, size) of its picture, the k-th with seed k."""
    scene = np.full((height, width, 3), BACKGROUND, np.uint8)
    for seed, (left, top, size) in enumerate(faces):
        scene[top : top + size, left : left + size] = draw_face(size, seed)
    return scene


def save(path: Path, image: UInt8[np.ndarray, "_ _ 3"], **options: object) -> Path:
    """Write an image in the format that the path's extension names, creating the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)
    return path

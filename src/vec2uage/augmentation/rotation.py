"""Augmentor's `RotateRange`, computing only what it keeps: the same pixels, sooner.

Where the image's sides are odd, one number in a thousand differs by one level, as coordinates are rounded elsewhere.
"""

import math
import random
from typing import Any

from PIL import Image


class KeptRotation:
    """Turns images by a random whole angle of at most `angle` degrees; draws as `RotateRange` does.

    Augmentor turns the image on a canvas that holds all of it, cuts off the border, and enlarges the rest to the
    image's size. Here the border, a third of the canvas, is never computed.
    """

    def __init__(self, angle: int) -> None:
        self.angle = angle

    def perform_operation(self, images: list[Any]) -> list[Any]:  # not of images: to check them draws from `random`
        """Return the turned images, all by the same angle."""
        left, right = random.randint(-self.angle, 0), random.randint(0, self.angle)
        degrees = left if random.randint(0, 1) == 0 else right
        return [turned(image, degrees) for image in images]


def turned(image: Image.Image, degrees: int) -> Image.Image:
    """Return the image turned counter-clockwise, without its border, in its own size."""
    if degrees == 0:
        return image
    width, height = image.size
    radians = math.radians(degrees)
    cosine, sine = round(math.cos(radians), 15), round(math.sin(radians), 15)
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    centre_x, centre_y = width / 2, height / 2
    shift_x, shift_y = -cosine * centre_x + sine * centre_y + centre_x, -sine * centre_x - cosine * centre_y + centre_y
    canvas_width = _extent(*(cosine * x - sine * y + shift_x for x, y in corners))
    canvas_height = _extent(*(sine * x + cosine * y + shift_y for x, y in corners))
    tangent = math.tan(abs(radians))
    cut_x = tangent * (canvas_height - canvas_width * tangent) - tangent**2
    cut_y = tangent * (canvas_width - cut_x)
    left, top = round(cut_x), round(cut_y)
    right, bottom = round(canvas_width - cut_x), round(canvas_height - cut_y)
    # a pixel of the canvas, seen from its centre, turned back, and seen from the image's corner
    x, y = left - canvas_width / 2, top - canvas_height / 2
    back = (
        *(cosine, -sine, cosine * x - sine * y + centre_x),
        *(sine, cosine, sine * x + cosine * y + centre_y),
    )
    kept = image.transform((right - left, bottom - top), Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    return kept.resize((width, height), Image.Resampling.BICUBIC)


def _extent(*values: float) -> int:
    """Return how many whole pixels hold all values."""
    return math.ceil(max(values)) - math.floor(min(values))

"""Augmentor's `RandomBrightness` and `RandomContrast` by a table of 256 levels: the same pixels, sooner."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

_EVERY_LEVEL = Image.frombytes("L", (256, 1), bytes(range(256)))


class RandomLevels:
    """Moves all pixels of an image from a grey (factor 0) to themselves (1) and beyond, by a random factor.

    Augmentor blends two images; as one of them is plain, a level depends on nothing but what it was.
    """

    def __init__(self, min_factor: float, max_factor: float, grey: Callable[[Image.Image], int]) -> None:
        self.min_factor = min_factor
        self.max_factor = max_factor
        self.grey = grey

    def perform_operation(self, images: list[Any]) -> list[Any]:
        """Return the changed images, all by the same factor."""
        factor = np.random.uniform(self.min_factor, self.max_factor)  # noqa: NPY002 - as Augmentor draws
        return [moved(image, self.grey(image), factor) for image in images]


def moved(image: Image.Image, grey: int, factor: float) -> Image.Image:
    """Return the image with every level moved from `grey`, by the blend that Pillow makes of all levels."""
    plain = Image.new("L", _EVERY_LEVEL.size, grey)
    table = list(Image.blend(plain, _EVERY_LEVEL, factor).tobytes())
    return image.point(table * len(image.getbands()))


def black(image: Image.Image) -> int:
    """Return the grey that brightness moves from."""
    return 0


def mean_level(image: Image.Image) -> int:
    """Return the grey that contrast moves from: the mean grey of the image, as `PIL.ImageEnhance.Contrast` has it."""
    counts = image.convert("L").histogram()
    return int(sum(level * count for level, count in enumerate(counts)) / sum(counts) + 0.5)

"""The faster rotation is Augmentor's, to the pixel."""

import random

import numpy as np
import pytest
from Augmentor.Operations import RotateRange
from PIL import Image

from vec2uage.augmentation.rotation import KeptRotation, turned

ANGLES = range(-25, 26)


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(224, 224), (160, 160), (64, 64), (96, 110), (40, 40)])
def test_every_angle_gives_augmentors_pixels(size: tuple[int, int]) -> None:
    image = noise(*size)
    for degrees in ANGLES:
        np.testing.assert_array_equal(np.asarray(turned(image, degrees)), by_augmentor(image, degrees), f"{degrees}")


def test_of_odd_sides_hardly_a_number_differs_by_one_level() -> None:
    image = noise(97, 97)
    for degrees in ANGLES:
        difference = np.abs(np.asarray(turned(image, degrees)).astype(int) - by_augmentor(image, degrees))
        assert difference.max() <= 1, degrees
        assert np.count_nonzero(difference) < 97 * 97 * 3 / 1000, degrees


def by_augmentor(image: Image.Image, degrees: int) -> np.ndarray:
    """Let Augmentor turn an image by an angle: search for a draw that gives it."""
    operation = RotateRange(1, min(degrees, 0), max(degrees, 0))
    for seed in range(1000):
        random.seed(seed)
        left, right, first = (
            random.randint(operation.max_left_rotation, 0),
            random.randint(0, operation.max_right_rotation),
            random.randint(0, 1) == 0,
        )
        if (left if first else right) == degrees:
            random.seed(seed)
            return np.asarray(operation.perform_operation([image])[0])
    raise AssertionError("no draw gives this angle")


def test_draws_are_augmentors() -> None:
    image = noise(64, 64)
    for seed in range(20):
        made = []
        for operation in (KeptRotation(25), RotateRange(1, 25, 25)):
            random.seed(seed)
            made.append([np.asarray(operation.perform_operation([image])[0]) for _ in range(3)])
        np.testing.assert_array_equal(*made, f"seed {seed}")

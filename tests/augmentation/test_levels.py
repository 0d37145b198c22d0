"""Brightness and contrast by a table are Augmentor's, to the pixel."""

import numpy as np
import pytest
from Augmentor.Operations import RandomBrightness, RandomContrast
from PIL import Image, ImageEnhance

from vec2uage.augmentation.levels import RandomLevels, black, mean_level, moved

FACTORS = [0.0, 0.1, 0.5, 0.8, 0.8734, 0.99999, 1.0, 1.00001, 1.2, 2.0, 3.7, 5.0]
WAYS = {"brightness": (RandomBrightness, ImageEnhance.Brightness, black),
        "contrast": (RandomContrast, ImageEnhance.Contrast, mean_level)}  # fmt: skip


def images() -> list[Image.Image]:
    """Noise, which has every level in every colour; noise of a few levels; plain ones; a single pixel."""
    dice = np.random.default_rng(0)
    made = [dice.integers(low, high, (61, 47, 3)) for low, high in ((0, 256), (200, 256), (0, 3), (7, 8), (255, 256))]
    return [Image.fromarray(pixels.astype(np.uint8)) for pixels in [*made, dice.integers(0, 256, (1, 1, 3))]]


@pytest.mark.parametrize("way", WAYS)
def test_every_factor_gives_pillows_pixels(way: str) -> None:
    _, enhancer, grey = WAYS[way]
    for image in images():
        for factor in [*FACTORS, *np.random.default_rng(1).uniform(0, 3, 40).tolist()]:
            expected = np.asarray(enhancer(image).enhance(factor))
            np.testing.assert_array_equal(np.asarray(moved(image, grey(image), factor)), expected, f"{factor}")


@pytest.mark.parametrize("way", WAYS)
def test_draws_are_augmentors(way: str) -> None:
    theirs, _, grey = WAYS[way]
    image, made = images()[0], []
    for operation in (theirs(1, 0.2, 4.0), RandomLevels(0.2, 4.0, grey)):
        np.random.seed(3)  # noqa: NPY002 - what Augmentor draws from
        made.append([np.asarray(operation.perform_operation([image])[0]) for _ in range(3)])
    np.testing.assert_array_equal(*made)

"""The signature of a picture: near for copies, far for other pictures, half inverted by a mirror."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from vec2uage.faces.signature import signature


def picture(seed, size=(200, 240)):
    """Draw smooth coloured blotches."""
    noise = np.random.default_rng(seed).uniform(0, 255, (12, 12, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def bits(image):
    return np.unpackbits(np.frombuffer(bytes.fromhex(signature(np.asarray(image))), dtype=np.uint8))


def differing(a, b):
    return int((bits(a) != bits(b)).sum())


COPIES = {
    "half the size": lambda image: image.resize((100, 120), Image.Resampling.BOX),
    "twice the size": lambda image: image.resize((400, 480), Image.Resampling.BILINEAR),
    "another shape": lambda image: image.resize((240, 200), Image.Resampling.BICUBIC),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.5),
}


def test_copies_are_near():
    for name, change in COPIES.items():
        assert max(differing(picture(seed), change(picture(seed))) for seed in range(10)) <= 20, name


def test_other_pictures_are_far():
    assert min(differing(picture(seed), picture(seed + 1)) for seed in range(50)) >= 90


def test_a_mirror_inverts_the_second_half():
    original, mirrored = bits(picture(0)), bits(ImageOps.mirror(picture(0)))
    np.testing.assert_array_equal(original[:128], mirrored[:128])
    np.testing.assert_array_equal(original[128:], 1 - mirrored[128:])


def test_any_picture_has_one_of_64_hex_digits():
    for shape in ((1, 1, 3), (5, 900, 3), (31, 33, 3)):
        text = signature(np.full(shape, 255, np.uint8))
        assert len(text) == 64
        assert int(text, 16) >= 0

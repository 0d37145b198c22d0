"""A short description of a whole picture that survives recolouring, rescaling and compression."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

THUMBNAIL, KEPT = 32, 16  # pixels and cosine terms along each side


def signature(image: UInt8[np.ndarray, "H W 3"]) -> str:
    """Return 64 hex digits, the signs of the 16x16 lowest terms of the cosine transform of the grey picture.

    Copies of one picture differ in few of the 256 bits, different pictures in about 113, and 49 or more among 4,814
    aligned faces (`docs/data.md`).
    Bits are ordered by column of the transform, even columns before odd ones. Mirroring a picture left to right
    changes the sign of the odd columns and nothing else, so it inverts the second half of the bits. Take it of the
    photograph rather than of the face: the box that a detector finds in a copy is often another one.
    """
    grey = Image.fromarray(image).convert("F")  # rounding (or a box filter) would not commute with mirroring
    small = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR), dtype=np.float64)
    transform = _cosines()
    terms = transform @ small @ transform.T
    bits = np.concatenate([terms[:, 0::2].T, terms[:, 1::2].T]).ravel() > 0
    return np.packbits(bits).tobytes().hex()


def _cosines() -> np.ndarray:
    """Return the first rows of the discrete cosine transform (type 2) of `THUMBNAIL` values."""
    places = 2 * np.arange(THUMBNAIL) + 1
    return np.cos(np.pi * np.outer(np.arange(KEPT), places) / (2 * THUMBNAIL))

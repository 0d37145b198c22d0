"""Cut a face out of an image and bring it to one size."""

from typing import Annotated

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from pydantic import Field

from vec2uage.config.error_messages import as_typed
from vec2uage.config.settings import settings
from vec2uage.faces.records import Face, Refused


@settings
class Crop:
    """What is cut out, and how large it becomes."""

    size: Annotated[int, Field(ge=1)] | None
    """Side of the square crop in pixels; None keeps the box as it is."""
    margin: Annotated[float, Field(ge=0, le=10)]
    """Share of the box's width (height) added on the left and on the right (above and below)."""

    def encoder_options(self) -> dict[str, str]:
        """Return all options by key, as one types them on the command line, for the name of an encoder."""
        return {"crop.size": as_typed(self.size), "crop.margin": as_typed(self.margin)}


def crop(image: UInt8[np.ndarray, "H W 3"], face: Face, options: Crop) -> UInt8[np.ndarray, "h w 3"]:
    """Cut out the box with its margin, as far as it lies in the image, and resize it to `options.size` square.

    A box that is not square, or was cut by the border, is stretched (as in the paper). Raises
    Refused("too_small", ...) when no pixel of the box lies in the image.
    """
    left, top, right, bottom = clamped(image, face, options.margin)
    cut = image[top:bottom, left:right]
    return np.ascontiguousarray(cut) if options.size is None else resize(cut, options.size, options.size)


def clamped(image: UInt8[np.ndarray, "H W 3"], face: Face, margin: float = 0.0) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of a box, widened by `margin`, that lies in the image."""
    across, down = round(margin * (face.right - face.left)), round(margin * (face.bottom - face.top))
    left, right = max(face.left - across, 0), min(face.right + across, image.shape[1])
    top, bottom = max(face.top - down, 0), min(face.bottom + down, image.shape[0])
    if left >= right or top >= bottom:
        raise Refused("too_small", "the box lies outside the image")
    return left, top, right, bottom


def resize(image: UInt8[np.ndarray, "H W 3"], height: int, width: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Resize: along each side by area averaging where it shrinks, bilinearly where it grows.

    Pillow's box filter is no area average: between whole factors it counts a pixel wholly or not at all.
    """
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    rows = _resample(image, height)
    columns = _resample(rows.swapaxes(0, 1), width)
    return np.rint(columns.swapaxes(0, 1)).astype(np.uint8, order="C")


def _resample(lines: Shaped[np.ndarray, "N M 3"], length: int) -> Float32[np.ndarray, "{length} M 3"]:
    """Return `length` weighted means of neighbouring lines, summed in one order on every machine."""
    n = len(lines)
    if length <= n:  # each new line covers n / length old ones, those at its ends in part
        edges = np.arange(length + 1) * n / length
        first = np.floor(edges[:-1]).astype(int)
        taps = int((np.ceil(edges[1:]) - first).max())
        old = first[:, None] + np.arange(taps)
        covered = np.minimum(old + 1, edges[1:, None]) - np.maximum(old, edges[:-1, None])
        weights = np.maximum(covered, 0) * length / n
    else:  # each new line lies between the centres of two old ones
        centres = np.clip((np.arange(length) + 0.5) * n / length - 0.5, 0, n - 1)
        old = np.floor(centres).astype(int)[:, None] + np.arange(2)
        weights = 1 - np.abs(old - centres[:, None])
    old, weights = np.minimum(old, n - 1), weights.astype(np.float32)
    out = lines[old[:, 0]] * weights[:, 0, None, None]
    for k in range(1, old.shape[1]):
        out += lines[old[:, k]] * weights[:, k, None, None]
    return out

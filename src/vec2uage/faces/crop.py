"""Cut a face out of an image and bring it to one size."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image
from pydantic import Field, ValidationError, WrapValidator

from vec2uage.config.error_messages import as_typed
from vec2uage.config.settings import settings
from vec2uage.faces.records import Face, Refused

Share = Annotated[float, Field(ge=0, le=10)]


def _margin(value: Any, check: Callable[[Any], Any]) -> Any:
    try:
        return check(value)
    except ValidationError:
        raise ValueError("should be a number from 0 to 10, or four: [left,top,right,bottom]") from None


@settings
class Crop:
    """What is cut out, and how large it becomes."""

    size: Annotated[int, Field(ge=1)] | None
    """Side of the square crop in pixels; None keeps its size."""
    margin: Annotated[Share | tuple[Share, Share, Share, Share], WrapValidator(_margin)]
    """Share of the box's width (height) added on the left and on the right (above and below), or four: left, top,
    right, bottom."""
    align: Literal["box", "points"] = "box"
    """The box: the detector's, or the square that eyes and mouth span (see `square_of`), turned with the face."""

    @property
    def margins(self) -> tuple[float, float, float, float]:
        """Return the margins of the four sides: left, top, right, bottom."""
        return self.margin if isinstance(self.margin, tuple) else (self.margin,) * 4

    def encoder_options(self) -> dict[str, str]:
        """Return all options by key, as one types them on the command line, for the name of an encoder.

        Boxes are what a name that says nothing of `crop.align` means: earlier versions knew nothing else.
        """
        aligned = {} if self.align == "box" else {"crop.align": self.align}
        return {"crop.size": as_typed(self.size), "crop.margin": as_typed(self.margin), **aligned}

    def place(self, face: Face) -> str:
        """Name what of a face decides where it is cut out."""
        box = face.left, face.top, face.right, face.bottom
        turn = f"/turned {face.turn}" * bool(face.turn)
        return f"{box}{turn}" if self.align == "box" else f"{box}{turn}/{face.points}"


def crop(image: UInt8[np.ndarray, "H W 3"], face: Face, options: Crop) -> UInt8[np.ndarray, "h w 3"]:
    """Cut out the box with its margins and resize it to `options.size` square: stretched, where it is not square.

    The detector's box is cut as far as it lies in the image (as in the paper), an aligned one whole: beyond the image
    its border is repeated. Raises Refused("too_small", ...) when no pixel lies in the image.
    """
    if options.align == "points":
        return _aligned(image, face, options)
    left, top, right, bottom = clamped(image, face, options.margins)
    cut = image[top:bottom, left:right]
    return np.ascontiguousarray(cut) if options.size is None else resize(cut, options.size, options.size)


def clamped(
    image: UInt8[np.ndarray, "H W 3"], face: Face, margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the part of a box, widened by `margins`, that lies in the image."""
    wide, high = face.right - face.left, face.bottom - face.top
    before, above, after, below = (round(m * side) for m, side in zip(margins, (wide, high) * 2, strict=True))
    left, right = max(face.left - before, 0), min(face.right + after, image.shape[1])
    top, bottom = max(face.top - above, 0), min(face.bottom + below, image.shape[0])
    if left >= right or top >= bottom:
        raise Refused("too_small", "the box lies outside the image")
    return left, top, right, bottom


def square_of(face: Face) -> tuple[complex, complex]:
    """Return the middle of the square that eyes and mouth span, and its side as an arrow to the face's right in the
    picture, both in pixels as x + iy.

    The middle is halfway between that of the eyes and that of the mouth; the side is the mean of the arrow from eye to
    eye and that from eyes to mouth, turned by 90 degrees. Nearly the similarity that takes these four points closest to
    those of a mean face (Umeyama, 1991), without such a face.
    """
    assert face.points is not None
    left_eye, right_eye, _, left_mouth, right_mouth = (complex(x, y) for x, y in face.points.all())
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    return (eyes + mouth) / 2, (right_eye - left_eye + (mouth - eyes) / 1j) / 2


def _aligned(image: UInt8[np.ndarray, "H W 3"], face: Face, options: Crop) -> UInt8[np.ndarray, "h w 3"]:
    """Cut out the upright square of eyes and mouth with its margins.

    It is sampled bilinearly at twice its final size and halved; what is larger is shrunk to about that before.
    """
    middle, side = square_of(face)
    if abs(side) < 1:
        raise Refused("too_small", "eyes and mouth are less than a pixel apart")
    before, above, after, below = options.margins
    across, down = side * (1 + before + after), side * 1j * (1 + above + below)
    start = middle - side * (0.5 + before) - side * 1j * (0.5 + above)
    width, height = (
        (options.size, options.size) if options.size else (max(1, round(abs(across))), max(1, round(abs(down))))
    )
    corners = [start, start + across, start + down, start + across + down]
    left, right = (math.floor(min(c.real for c in corners)) - 1, math.ceil(max(c.real for c in corners)) + 1)
    top, bottom = (math.floor(min(c.imag for c in corners)) - 1, math.ceil(max(c.imag for c in corners)) + 1)
    region = _with_border(image, left, top, right, bottom)
    shrunk = min(1.0, 2 * max(width / abs(across), height / abs(down)))
    if shrunk < 1:
        region = resize(region, max(1, round(region.shape[0] * shrunk)), max(1, round(region.shape[1] * shrunk)))
    to_x, to_y = region.shape[1] / (right - left), region.shape[0] / (bottom - top)
    step_x, step_y, at = across / (2 * width), down / (2 * height), start - complex(left, top)
    # of an output pixel (x, y), by Pillow's rule: where it lies in the region, as (ax + by + c, dx + ey + f)
    lines = (
        step_x.real * to_x,
        step_y.real * to_x,
        at.real * to_x,
        step_x.imag * to_y,
        step_y.imag * to_y,
        at.imag * to_y,
    )
    sampled = Image.fromarray(region).transform(
        (2 * width, 2 * height), Image.Transform.AFFINE, lines, Image.Resampling.BILINEAR
    )
    return np.asarray(sampled.reduce(2))  # means of two by two pixels, as `resize` gives them but for rounding


def _with_border(
    image: UInt8[np.ndarray, "H W 3"], left: int, top: int, right: int, bottom: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a part of the image; beyond the image its border is repeated."""
    height, width = image.shape[:2]
    if min(right, width) <= max(left, 0) or min(bottom, height) <= max(top, 0):
        raise Refused("too_small", "the face lies outside the image")
    inside = image[max(top, 0) : bottom, max(left, 0) : right]
    beyond = ((max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)), (0, 0))
    return np.ascontiguousarray(np.pad(inside, beyond, mode="edge"))


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

"""The bytes of an image file as upright 8-bit RGB, or the reason why they cannot be."""

import io
import warnings

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from vec2uage.faces.records import Refused

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF", "PPM")
"""What is read, told apart by content, never by the file's name. Formats that start other programs (EPS) or that are
drawings are left out."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF 2.32, tag 274: what undoes each orientation."""


def decode(content: bytes, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    """Decode an image: turned upright by its EXIF orientation, transparent parts on white, the first frame of many.

    Grey, palette and CMYK become RGB; of 16 bits the upper 8 are kept. Colour profiles are not applied. The size is
    read from the header first: nothing of more than `max_pixels` pixels is decoded, nor beyond Pillow's own limit of
    178,956,970. The array may be read-only.

    Raises Refused("unreadable", reason) for everything that is no complete image of `FORMATS`.
    """
    if not content:
        raise Refused("unreadable", "the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large sizes and odd metadata; neither is a reason
            return _decode(content, max_pixels)
    except Image.DecompressionBombError:
        raise _too_large(max_pixels) from None
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise Refused("unreadable", f"no image, or its header is damaged (read are {known})") from None
    except (MemoryError, Refused):
        raise
    except Exception as error:  # Pillow raises nearly every type for foreign bytes, struct.error and KeyError included
        reason = (str(error).splitlines() or [""])[0][:150]
        raise Refused("unreadable", f"damaged image: {reason or type(error).__name__}") from None


def _decode(content: bytes, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        if picture.width * picture.height > max_pixels:
            raise _too_large(max_pixels)
        picture.load()  # TIFF turns itself upright here, and then no longer states an orientation
        turn = _UPRIGHT.get(_orientation(picture))
        pixels = _rgb(picture if turn is None else picture.transpose(turn), picture.format)
    if 0 in pixels.shape:
        raise Refused("unreadable", "the image has no pixels")
    return pixels


def _too_large(max_pixels: int) -> Refused:
    limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
    return Refused("unreadable", f"more than {limit:,} pixels (max_pixels)")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # metadata that cannot be read must not cost the picture
        return 1


def _rgb(picture: Image.Image, kind: str | None) -> UInt8[np.ndarray, "H W 3"]:
    if picture.mode.startswith(("I", "F")):
        grey = np.asarray(picture)
        # 16 bits are I;16 to Pillow; only those of PGM it spreads over 0 to 65535 in 32
        if picture.mode == "F" or (picture.mode == "I" and kind != "PPM"):
            raise Refused("unreadable", f"pixels of mode {picture.mode} have no known range of brightness")
        return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)  # as Pillow does with 16-bit colour
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))

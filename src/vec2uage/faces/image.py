"""The bytes of an image file as upright 8-bit RGB, or the reason why they cannot be."""

import io
import re
import warnings
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError, features

from vec2uage.faces.damage import find_damage
from vec2uage.faces.records import Refused
from vec2uage.faces.video import is_video

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG2000", "AVIF", "PPM")
"""What is read, told apart by content, never by the file's name. Formats that start other programs (EPS) or that are
drawings are left out. HEIC is read, too, where its plug-in is installed."""


def _has_avif() -> bool:
    return bool(features.check("avif"))


def _open_heif() -> bool:
    """Let Pillow read HEIC, where the package for it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    return True


_PLUGIN_STARTS = {
    "AVIF": rb".{4}ftyp(avi[fs]|m[is]f1.{4,32}avi[fs])",
    "HEIC": rb".{4}ftyp(hei[cxms]|hev[cxms]|m[is]f1)",
}
"""Formats that not every Pillow reads, by how their files begin."""

_PLUGINS: dict[str, tuple[Callable[[], bool], str]] = {
    "AVIF": (_has_avif, "a Pillow with AVIF (11.3 or newer)"),
    "HEIC": (_open_heif, "the package pillow-heif (pip install 'vec2uage[heif]')"),
}
"""What loads their readers and tells whether they are there, and what is to be installed."""

_NOT_READ = {
    "a camera's raw file (CR3)": rb".{4}ftypcrx",
    "a camera's raw file (CR2)": rb"II\*\0.{4}CR",
    "a camera's raw file (RAF)": rb"FUJIFILMCCD-RAW",
    "a camera's raw file (ORF)": rb"IIR[OS]|MMOR",
    "a camera's raw file (RW2)": rb"IIU\0",
    "a camera's raw file (X3F)": rb"FOVb",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "Photoshop's own format": rb"8BPS",
}
"""Pictures that others can convert, by how their files begin."""

_DNG_VERSION, _SUB_PAGES = 50706, 330  # tags of a TIFF; the first makes it a DNG

_UPRIGHT: dict[float, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF 2.32, tag 274: what undoes each orientation."""


def is_image(start: bytes) -> bool:
    """Tell whether a file that begins with these bytes (64 or more) is an image, also of a kind that is not read."""
    Image.init()
    accepts = (Image.OPEN[kind][1] for kind in FORMATS)
    known = any(accept is not None and accept(start[:16]) for accept in accepts)
    return known or _begins_like(start, _PLUGIN_STARTS | _NOT_READ) != ""


def decode(content: bytes, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    """Decode an image: turned upright by its EXIF orientation, transparent parts on white, the first frame of many.

    Grey, palette and CMYK become RGB; of 16 bits the upper 8 are kept. Colour profiles are not applied. Of a TIFF the
    one page is read that is no reduced copy. The size is read from the header first: nothing of more than `max_pixels`
    pixels is decoded, nor beyond Pillow's own limit of 178,956,970. The array may be read-only.

    Raises Refused("needs_plugin", reason) for a format whose reader is not installed, Refused("unreadable", reason) for
    everything else that is no complete image of `FORMATS` or HEIC (see `find_damage`), and MemoryError.
    """
    if not content:
        raise Refused("unreadable", "the file is empty")
    if other := "a video" if is_video(content) else _begins_like(content, _NOT_READ):
        raise Refused("unreadable", f"{other} is not read: convert it (read are {', '.join(FORMATS)} and HEIC)")
    if name := _begins_like(content, _PLUGIN_STARTS):
        load, needed = _PLUGINS[name]
        if not load():
            raise Refused("needs_plugin", f"{name} is read where {needed} is installed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large sizes and odd metadata; neither is a reason
            return _decode(content, max_pixels)
    except Image.DecompressionBombError:
        raise _too_large(max_pixels) from None
    except UnidentifiedImageError:
        reason = f"no image, or its header is damaged (read are {', '.join(FORMATS)})"
        raise Refused("unreadable", reason) from None
    except (MemoryError, Refused):
        raise
    except Exception as error:  # Pillow raises nearly every type for foreign bytes, struct.error and KeyError included
        reason = (str(error).splitlines() or [""])[0][:150]
        raise Refused("unreadable", f"damaged image: {reason or type(error).__name__}") from None


def _begins_like(content: bytes, starts: Mapping[str, bytes]) -> str:
    """Return which kind of file this is; "" for none of them."""
    return next((name for name, start in starts.items() if re.match(start, content, re.DOTALL)), "")


def _decode(content: bytes, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    formats = (*FORMATS, "HEIF") if "HEIF" in Image.OPEN else FORMATS
    with Image.open(io.BytesIO(content), formats=formats) as picture:
        if isinstance(picture, TiffImagePlugin.TiffImageFile):
            picture.seek(_only_page(content))
        if picture.width * picture.height > max_pixels:
            raise _too_large(max_pixels)
        if damage := find_damage(content, picture):
            raise Refused("unreadable", f"damaged image: {damage}")
        picture.load()  # TIFF turns itself upright here, and then no longer states an orientation
        turn = _UPRIGHT.get(_orientation(picture))
        pixels = _rgb(picture if turn is None else picture.transpose(turn), picture.format)
        if picture.mode.startswith("I;16") and _is_negative(picture):
            pixels = 255 - pixels
    if 0 in pixels.shape:
        raise Refused("unreadable", "the image has no pixels")
    return pixels


def _too_large(max_pixels: int) -> Refused:
    limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
    return Refused("unreadable", f"more than {limit:,} pixels (max_pixels)")


def _only_page(content: bytes) -> int:
    """Return the number of a TIFF's page that is neither a reduced copy of another one nor a mask."""
    file = io.BytesIO(content)
    header = file.read(16 if content[2:3] == b"\x2b" else 8)  # 43: BigTIFF

    def read(start: int) -> TiffImagePlugin.ImageFileDirectory_v2:
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(start)
        directory.load(file)
        return directory

    starts, whole, raw = list[int](), list[int](), False
    following = TiffImagePlugin.ImageFileDirectory_v2(header).next
    while following and following not in starts:
        page = read(following)
        whole += [len(starts)] if _is_whole(page) else []
        # pages below a page hold what a camera's sensor has seen, and those of other programs reduced copies
        raw = raw or _DNG_VERSION in page or any(_is_whole(read(start)) for start in page.get(_SUB_PAGES, ()))
        starts.append(following)
        following = page.next
    if raw or not whole:
        raise Refused(
            "unreadable", "holds reduced copies alone, as a camera's raw file (DNG, NEF, ARW) does: convert it"
        )
    if len(whole) > 1:
        raise Refused("unreadable", f"holds {len(whole)} pictures: make a file of each")
    return whole[0]


def _is_whole(page: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Tell whether a page of a TIFF is a picture of its own (TIFF 6.0, NewSubfileType and SubfileType)."""
    is_reduced, is_mask = page.get(254, 0) & 1 or page.get(255) == 2, page.get(254, 0) & 4
    return not is_reduced and not is_mask


def _orientation(picture: Image.Image) -> float:
    """Return the EXIF orientation, whatever type of number it is written as; 1 where it cannot be read."""
    try:
        if "Raw profile type APP1" in picture.info:  # how ExifTool wrote it into a PNG before there was eXIf
            picture.info.setdefault("Raw profile type exif", picture.info["Raw profile type APP1"])
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return float(value[0] if isinstance(value, bytes) and len(value) == 1 else value)
    except Exception:  # metadata that cannot be read must not cost the picture
        return 1.0


def _is_negative(picture: Image.Image) -> bool:
    """Tell whether 0 is white in a TIFF (PhotometricInterpretation 0), which Pillow overlooks where it has 16 bits."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return False
    return bool(picture.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0)


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

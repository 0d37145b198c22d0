"""Damage that a decoder forgives: signs in an image file's bytes that its picture is not the one that was taken.

Pillow reports what stops a decoder, but nothing of what libjpeg only warns of, nor wrong checksums of pixels.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import simplejpeg
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import Base

_JPEG_WARNINGS = (
    "Corrupt JPEG data",
    "Premature end of JPEG file",
    "Inconsistent progression sequence",
    "Invalid SOS parameters",
)
"""How libjpeg's sentences about a scan that does not fit its picture begin (jerror.h). What else simplejpeg refuses,
such as rare subsamplings, says nothing about damage."""

_DHT, _DQT, _SOS, _SEQUENTIAL = 0xC4, 0xDB, 0xDA, (0xC0, 0xC1)
_METADATA = {*range(0xE0, 0xF0), 0xFE}  # application segments and comments
_END_OF_BLOCK = 0
_ZEROS = bytes(16)  # 128 bits, which would be some forty coefficients of -1 in a row

_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_TIFF_JPEG, _TIFF_DEFLATED = 7, (8, 32946)


def find_damage(content: bytes, picture: Image.Image) -> str:
    """Return what is damaged in an image file that Pillow opened as `picture`; "" where nothing shows it.

    A JPEG's scans must hold exactly the pixels of the picture, in order and to the end; every chunk of a PNG and every
    deflated strip of a TIFF must match its checksum. A change that leaves a JPEG's codes valid, and as many as before,
    is not seen, and formats without checksums hide all that their decoders bear.
    """
    if picture.format in ("JPEG", "MPO"):
        return _jpeg(content)
    if picture.format == "PNG":
        return _png(content)
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return _tiff(content, picture.tag_v2, 16 * picture.width * picture.height)
    return ""


def _jpeg(content: bytes) -> str:
    bare, scans = bytearray(content[:2]), 2
    for marker, start, end in _jpeg_segments(content):
        if marker == _DQT and _has_zero(content[start + 4 : end]):
            return "a quantization table of the JPEG holds zeros"
        if marker not in _METADATA:  # of whose oddities libjpeg warns, too
            bare += content[start:end]
        scans = end
    bare += content[scans:]
    if _ZEROS in content[scans : content.find(b"\xff\xd9", scans)] and not _zeros_are_flat(content, scans):
        return f"{len(_ZEROS)} or more zeros in the scan of the JPEG"
    try:
        space = simplejpeg.decode_jpeg_header(bare)[2]
        # all codes are read, but an eighth of each side is computed
        simplejpeg.decode_jpeg(bare, "CMYK" if space in ("CMYK", "YCCK") else "GRAY", min_height=1, min_width=1)
    except ValueError as error:
        return str(error) if str(error).startswith(_JPEG_WARNINGS) else ""
    return ""


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments before the first scan."""
    at = 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content) and (marker := content[at + 1]) != _SOS:
        if marker == 0xFF:  # a byte that fills
            at += 1
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        yield marker, at, end
        at = end


def _has_zero(tables: bytes) -> bool:
    """Tell whether one of the quantization tables of a segment holds a zero (T.81, B.2.4.1: from 1 on)."""
    while tables:
        width = 2 if tables[0] >> 4 else 1
        table, tables = tables[1 : 1 + 64 * width], tables[1 + 64 * width :]
        if any(not any(table[k : k + width]) for k in range(0, len(table), width)):
            return True
    return False


def _zeros_are_flat(content: bytes, scans: int) -> bool:
    """Tell whether zeros in a scan may be a flat region: they end each block at once, or may mean anything.

    In a sequential scan of all components, zeros are the first code of each Huffman table (T.81, annex C). Where that
    is no end of the block, they are blocks of 63 coefficients of -1, which no picture has.
    """
    components, ends = 0, True
    for marker, start, end in _jpeg_segments(content):
        body = content[start + 4 : end]
        if marker in _SEQUENTIAL:
            components = body[5] if len(body) > 5 else 0
        while marker == _DHT and len(body) > 17:
            ends = ends and (body[0] < 0x10 or body[17] == _END_OF_BLOCK)  # below 0x10: a table of DC differences
            body = body[17 + sum(body[1:17]) :]
    return ends or components == 0 or content[scans + 4 : scans + 5] != bytes([components])


def _png(content: bytes) -> str:
    at = 8
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        name, checksum = content[at + 4 : at + 8], content[at + 8 + length : at + 12 + length]
        shown = name.decode("ascii", "backslashreplace")
        if zlib.crc32(content[at + 4 : at + 8 + length]).to_bytes(4, "big") != checksum:
            return f"the chunk {shown!r} of the PNG does not match its checksum"
        if name[:1].isupper() and name not in _PNG_CRITICAL:  # 4.7.2: who does not know it cannot show the picture
            return f"the PNG needs a reader that knows its chunk {shown!r}"
        if name == b"IEND":
            return ""
        at += 12 + length
    return "the PNG ends before its last chunk"


def _tiff(content: bytes, tags: Mapping[int, Any], most: int) -> str:
    """Check the compressed strips or tiles of a TIFF's page, which hold no more than `most` bytes."""
    compression, tables = tags.get(Base.Compression), tags.get(Base.JPEGTables, b"")
    starts = tags.get(Base.StripOffsets) or tags.get(Base.TileOffsets) or ()
    lengths = tags.get(Base.StripByteCounts) or tags.get(Base.TileByteCounts) or ()
    for start, length in zip(starts, lengths, strict=False):  # Pillow says what is wrong if they do not fit
        strip = content[start : start + length]
        if compression == _TIFF_JPEG and (damage := _jpeg(tables[:-2] + strip[2 * bool(tables) :])):
            return damage
        if compression in _TIFF_DEFLATED and not _inflates(strip, most):
            return "a deflated part of the TIFF does not match its checksum"
    return ""


def _inflates(strip: bytes, most: int) -> bool:
    """Tell whether a whole zlib stream of at most `most` bytes begins here."""
    stream, size = zlib.decompressobj(), 0
    try:
        while strip and not stream.eof and size <= most:
            size += len(stream.decompress(strip, 1 << 20))
            strip = stream.unconsumed_tail
    except zlib.error:
        return False
    return stream.eof

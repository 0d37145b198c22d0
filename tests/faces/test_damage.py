"""Damage that decoders forgive makes a photograph unreadable; whole photographs never are."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vec2uage.faces.image import decode
from vec2uage.faces.records import Refused

LIMIT = 1_000_000
_rng = np.random.default_rng(0)
NOISE = np.asarray(
    Image.fromarray(_rng.integers(0, 256, (25, 25, 3)).astype(np.uint8)).resize((200, 200), Image.Resampling.BICUBIC)
)
JPEGS = {
    "plain": {"quality": 90},
    "fine": {"quality": 95, "subsampling": 0},
    "coarse": {"quality": 50},
    "progressive": {"quality": 90, "progressive": True},
    "optimised": {"quality": 90, "optimize": True},
    "restarting": {"quality": 90, "restart_marker_blocks": 5},
}


def encoded(image, kind="JPEG", **options) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def reason(content) -> str:
    with pytest.raises(Refused) as refused:
        decode(content, LIMIT)
    assert refused.value.status == "unreadable"
    return refused.value.reason


def scan_of(content) -> int:
    """Return where the codes of a JPEG's first scan begin."""
    start = content.index(b"\xff\xda")
    return start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")


@pytest.mark.parametrize("how", JPEGS)
def test_what_is_lost_inside_a_jpeg_makes_it_unreadable(how):
    content = encoded(NOISE, **JPEGS[how])
    for place in range(scan_of(content), len(content) - 600, len(content) // 9):
        for lost in (bytes(512), bytes(100), b"\xff" * 512, b""):
            reason(content[:place] + lost + content[place + 512 :])
        reason(content[:place] + b"\xff\xd9")  # ends early, though with a proper end
        reason(content[:place] + bytes(len(content) - place))


@pytest.mark.parametrize("how", ["plain", "fine", "coarse", "restarting"])
def test_a_few_zeros_in_a_jpeg_make_it_unreadable(how):
    content = encoded(NOISE, **JPEGS[how])
    for place in range(scan_of(content), len(content) - 18, len(content) // 40):
        reason(content[:place] + bytes(16) + content[place + 16 :])


def test_a_jpeg_of_an_impossible_quantization_is_unreadable():
    content = encoded(NOISE)
    start = content.index(b"\xff\xdb") + 5
    assert "quantization" in reason(content[:start] + bytes(64) + content[start + 64 :])


@pytest.mark.parametrize("how", JPEGS)
def test_whole_jpegs_of_all_kinds_are_read(how):
    white = np.full((200, 200, 3), 255, np.uint8)  # its scan may hold nothing but zeros
    for image in (NOISE, white, white[:1, :1]):
        for picture in (
            Image.fromarray(image),
            Image.fromarray(image).convert("L"),
            Image.fromarray(image).convert("CMYK"),
        ):
            content = encoded(picture, **JPEGS[how])
            assert decode(content, LIMIT).shape == image.shape
            assert decode(content + bytes(1000), LIMIT).shape == image.shape  # padded after its end


def test_odd_metadata_is_no_damage():
    content = encoded(NOISE, comment=b"\0" * 500, icc_profile=b"x" * 500, exif=b"Exif\0\0" + bytes(500))
    for there, instead in [
        (b"JFIF\0\1", b"JFIF\0\7"),  # a revision that is unknown
        (b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\5\1"),
    ]:
        assert there in content
        assert decode(content.replace(there, instead), LIMIT).shape == NOISE.shape


def test_a_jpeg_of_rare_subsampling_is_read():
    content = bytearray(encoded(np.full((16, 16, 3), 128, np.uint8), subsampling=0))
    sizes = content.index(b"\xff\xc0") + 11
    content[sizes], content[sizes + 3], content[sizes + 6] = 0x22, 0x21, 0x12
    flat = "001010" * 4 + "0000" * 4  # DC difference 0 and the end of the block, as in the tables of T.81, annex K
    codes = bytes([int(flat[:8], 2), int(flat[8:16], 2), int(flat[16:24], 2), int(flat[24:32], 2), int(flat[32:], 2)])
    image = decode(bytes(content[: scan_of(content)]) + codes + b"\xff\xd9", LIMIT)
    np.testing.assert_array_equal(image, np.full((16, 16, 3), 128))


def chunk(name, data) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_a_png_must_match_its_checksums_and_end():
    for level in (0, 6):
        content = encoded(NOISE, "PNG", compress_level=level)
        for place in range(60, len(content) - 600, len(content) // 9):
            assert "checksum" in reason(content[:place] + bytes(512) + content[place + 512 :])
        pixel = len(content) // 2
        assert "checksum" in reason(content[:pixel] + bytes([content[pixel] ^ 1]) + content[pixel + 1 :])
        assert "ends before" in reason(content[:-12])
        assert decode(content + b"more", LIMIT).shape == NOISE.shape


def test_a_png_with_a_chunk_that_one_must_know_is_not_guessed_at():
    content = encoded(NOISE, "PNG")
    assert "CgBI" in reason(content[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + content[8:])
    known = content[:33] + chunk(b"prVt", b"anything") + content[33:]
    np.testing.assert_array_equal(decode(known, LIMIT), NOISE)


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_deflate", "jpeg"])
def test_compressed_parts_of_a_tiff_must_be_whole(compression):
    content = encoded(NOISE, "TIFF", compression=compression)
    assert decode(content, LIMIT).shape == NOISE.shape
    for share in (0.3, 0.5, 0.7):
        place = int(share * len(content))
        reason(content[:place] + bytes(512) + content[place + 512 :])

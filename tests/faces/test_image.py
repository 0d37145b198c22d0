"""Images of every kind become upright RGB or are refused with a reason; nothing else ever happens."""

import io
import struct
import sys
import warnings
import zlib

import numpy as np
import pillow_heif
import pytest
from drawn_face import draw_face
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from vec2uage.faces.image import FORMATS, decode, is_image
from vec2uage.faces.records import Refused

LIMIT = 1_000_000
PICTURE = draw_face(64)[:60, :40]  # 60 high, 40 wide, so that turning shows
CORNERS = np.zeros((16, 24, 3), np.uint8)
CORNERS[:8, :12], CORNERS[:8, 12:], CORNERS[8:, :12] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(image, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def reason(content, max_pixels=LIMIT) -> str:
    with pytest.raises(Refused) as refused:
        decode(content, max_pixels)
    assert refused.value.status == "unreadable"
    assert refused.value.reason
    assert "\n" not in refused.value.reason
    return refused.value.reason


def close(image, wanted, levels=3) -> bool:
    return image.shape == wanted.shape and float(np.abs(image.astype(int) - wanted).mean()) <= levels


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_and_exactly_where_it_is_lossless(kind):
    optional = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
    if kind in optional and not features.check(optional[kind]):
        pytest.skip(f"this Pillow has no {kind}")
    levels = 0 if kind in ("PNG", "BMP", "TIFF", "PPM") else 8
    assert close(decode(encoded(PICTURE, kind), LIMIT), PICTURE, levels)


def stored_under(orientation) -> np.ndarray:
    """The picture as it is stored under an orientation."""
    # EXIF 2.32: where the first row and the first column of what is stored belong in the upright picture
    stored = {
        1: CORNERS,
        2: CORNERS[:, ::-1],
        3: CORNERS[::-1, ::-1],
        4: CORNERS[::-1],
        5: CORNERS.swapaxes(0, 1),
        6: np.rot90(CORNERS),
        7: CORNERS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(CORNERS, -1),
    }[orientation]
    return np.ascontiguousarray(stored)


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [*[("JPEG", k) for k in range(1, 9)], *[("TIFF", k) for k in range(1, 9)], ("PNG", 6), ("WEBP", 7)],
)
def test_orientation_is_undone(kind, orientation):
    content = encoded(
        stored_under(orientation), kind, exif=exif_of(orientation), **{"lossless": True} if kind == "WEBP" else {}
    )
    upright = decode(content, LIMIT)
    assert upright.shape == CORNERS.shape
    np.testing.assert_allclose(
        upright[[3, 3, 12, 12], [5, 18, 5, 18]], CORNERS[[3, 3, 12, 12], [5, 18, 5, 18]], atol=40
    )  # JPEG blurs colours


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_metadata_does_not_cost_the_picture(kind):
    for exif in (b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0", b"x"):
        assert close(decode(encoded(PICTURE, kind, exif=exif), LIMIT), PICTURE, levels=8), exif


def test_an_orientation_that_does_not_exist_is_ignored():
    for value in (0, 9, 65535):
        np.testing.assert_array_equal(decode(encoded(PICTURE, exif=exif_of(value)), LIMIT), PICTURE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_orientation_counts_whatever_type_of_number_it_is(kind):
    def shape(field, value):
        head = b"Exif\0\0II*\0\x08\0\0\0\1\0"  # one entry, which begins here: TIFF 6.0, section 2
        entry = struct.pack("<HHI", 0x0112, field, len(value) if field in (1, 2, 7) else 1) + value.ljust(4, b"\0")
        return decode(encoded(CORNERS, kind, exif=head + entry + bytes(4)), LIMIT).shape[:2]

    for field, value in [(1, b"\6"), (2, b"6\0"), (4, b"\6"), (7, b"\6"), (11, struct.pack("<f", 6.0))]:
        assert shape(field, value) == (24, 16), field
    for field, value in [(2, b"top"), (7, b"\6\6"), (11, struct.pack("<f", 6.5)), (11, b"\0\0\xc0\x7f"), (99, b"\6")]:
        assert shape(field, value) == (16, 24), field


@pytest.mark.parametrize("kind", ["exif", "APP1"])
def test_a_png_may_state_its_orientation_as_text(kind):
    exif = exif_of(6).tobytes()
    texts = PngInfo()
    texts.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(exif):8}\n{exif.hex()}\n", zip=True)
    assert decode(encoded(CORNERS, pnginfo=texts), LIMIT).shape[:2] == (24, 16)


def exif_of(orientation) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_grey_and_palette_become_rgb():
    picture = Image.fromarray(PICTURE)
    grey = np.repeat(np.asarray(picture.convert("L"))[..., None], 3, 2)
    np.testing.assert_array_equal(decode(encoded(picture.convert("L")), LIMIT), grey)
    np.testing.assert_array_equal(
        decode(encoded(picture.convert("1")), LIMIT), np.asarray(picture.convert("1").convert("RGB"))
    )
    assert close(decode(encoded(picture.quantize(255)), LIMIT), PICTURE, levels=4)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_become_white(mode):
    picture = Image.fromarray(PICTURE).convert("L").convert("RGB")
    alpha = np.full(PICTURE.shape[:2], 255, np.uint8)
    alpha[:20] = 0
    alpha[20:40] = 128
    layered = picture.convert(mode)
    layered.putalpha(Image.fromarray(alpha))
    share = (alpha / 255)[..., None]
    wanted = np.asarray(picture) * share + 255 * (1 - share)
    np.testing.assert_allclose(decode(encoded(layered), LIMIT), wanted, atol=1)


def test_a_transparent_palette_entry_becomes_white():
    picture = Image.new("P", (8, 6), 1)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((2, 3), 0)
    for kind in ("PNG", "GIF"):
        image = decode(encoded(picture, kind, transparency=0), LIMIT)
        assert [image[3, 2].tolist(), image[0, 0].tolist()] == [[255, 255, 255], [200, 100, 50]], kind


def test_inverted_cmyk_is_read_whether_marked_or_not():
    content = encoded(Image.fromarray(PICTURE).convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in content  # Pillow writes such files as Photoshop does: inverted, and marked so
    assert close(decode(content, LIMIT), PICTURE)
    start = content.index(b"\xff\xee")
    plain = content[:start] + content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") :]
    assert close(decode(plain, LIMIT), PICTURE)  # unmarked: by the same convention
    assert close(decode(encoded(Image.fromarray(PICTURE).convert("CMYK"), "TIFF"), LIMIT), PICTURE)


def test_of_sixteen_bits_the_upper_eight_are_kept():
    deep = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        image = decode(encoded(deep, kind), LIMIT)
        np.testing.assert_array_equal(image, np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, 2), kind)
    rows = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    np.testing.assert_array_equal(decode(png(7, 5, 16, 2, raw), LIMIT), (rows >> 8).astype(np.uint8))
    pgm = b"P5 2 1 1000\n" + np.array([0, 1000], dtype=">u2").tobytes()
    assert decode(pgm, LIMIT)[0, :, 0].tolist() == [0, 255]


def test_a_tiff_of_sixteen_bits_may_have_white_at_zero():
    deep = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    content = encoded(deep, "TIFF")
    interpretation = struct.pack("<HHI", 262, 3, 1)
    assert content.count(interpretation + b"\1\0") == 1
    negative = decode(content.replace(interpretation + b"\1\0", interpretation + b"\0\0"), LIMIT)
    np.testing.assert_array_equal(negative, 255 - decode(content, LIMIT))


def png(width, height, depth, colour, raw) -> bytes:
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_pixels_without_a_known_range_are_refused():
    assert "range of brightness" in reason(encoded(np.ones((4, 4), np.float32), "TIFF"))
    for level in (-1, 200, 70_000):
        assert "range of brightness" in reason(encoded(np.full((4, 4), level, np.int32), "TIFF"))


def test_the_first_of_many_frames_is_read():
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "MPO"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert close(decode(content, LIMIT), np.asarray(frames[0]))


def tiff(*pages, **options) -> bytes:
    """Return a TIFF of pages, each an image and its tags."""
    pictures = [Image.fromarray(image) for image, _ in pages]
    for picture, (_, tags) in zip(pictures, pages, strict=True):
        picture.encoderinfo = {"tiffinfo": tags}  # those of one page only; Pillow takes them from here
    return encoded(pictures[0], "TIFF", save_all=True, append_images=pictures[1:], **options)


def with_page_below(content) -> bytes:
    """Return a TIFF of two pages with the second as a page below the first, which has a place for it in tag 330."""
    first = int.from_bytes(content[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    tag = next(k for k in range(first + 2, end, 12) if content[k : k + 2] == struct.pack("<H", 330))
    second = content[end : end + 4]
    entry = struct.pack("<HHI", 330, 4, 1) + second
    return content[:tag] + entry + content[tag + 12 : end] + bytes(4) + content[end + 4 :]


REDUCED, MASK, OLD_REDUCED = {254: 1}, {254: 4}, {255: 2}


def test_of_a_tiff_the_page_that_is_no_reduced_copy_is_read():
    small = np.ascontiguousarray(PICTURE[::4, ::4])
    for pages in [
        [(small, REDUCED), (PICTURE, {})],
        [(small, OLD_REDUCED), (small, MASK), (PICTURE, {254: 2})],
        [(PICTURE, {}), (small, REDUCED)],
    ]:
        np.testing.assert_array_equal(decode(tiff(*pages), LIMIT), PICTURE)
    np.testing.assert_array_equal(decode(tiff((small, REDUCED), (PICTURE, {274: 1}), big_tiff=True), LIMIT), PICTURE)
    assert "raw file" in reason(tiff((small, REDUCED), (small, REDUCED)))
    assert "raw file" in reason(with_page_below(tiff((small, {330: 0}), (PICTURE, {}))))
    below = with_page_below(tiff((PICTURE, {330: 0}), (small, REDUCED)))
    np.testing.assert_array_equal(decode(below, LIMIT), PICTURE)
    assert "2 pictures" in reason(tiff((PICTURE, {}), (PICTURE, {})))  # which of them has the age?
    assert reason(tiff((small, REDUCED), (np.zeros((1001, 1000), np.uint8), {}))) == (
        "more than 1,000,000 pixels (max_pixels)"
    )


def heic(image, **options) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_as_its_container_says(orientation):
    content = heic(stored_under(orientation), quality=-1, chroma=444, exif=exif_of(orientation).tobytes())
    upright = decode(content, LIMIT)
    assert upright.shape == CORNERS.shape
    np.testing.assert_allclose(upright[[3, 3, 12, 12], [5, 18, 5, 18]], CORNERS[[3, 3, 12, 12], [5, 18, 5, 18]], atol=8)


def test_a_heic_obeys_the_same_limits_and_may_have_transparent_parts():
    layered = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    layered[:20, :, 3] = 0
    image = decode(heic(layered, quality=-1, chroma=444), LIMIT)
    assert close(image[20:], PICTURE[20:])
    assert (image[:16] == 255).all()
    assert "max_pixels" in reason(heic(np.zeros((100, 101, 3), np.uint8)), 10_000)


def test_a_format_without_its_reader_says_what_is_to_be_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    monkeypatch.setattr(features, "check", lambda name: False)
    for start, package in [
        (b"ftypheic\0\0\0\0mif1heic", "pillow-heif"),
        (b"ftypmif1\0\0\0\0mif1heic", "pillow-heif"),
        (b"ftypavif\0\0\0\0mif1avif", "Pillow"),
        (b"ftypmif1\0\0\0\0mif1avif", "Pillow"),
    ]:
        with pytest.raises(Refused) as refused:
            decode(b"\0\0\0\x18" + start, LIMIT)
        assert refused.value.status == "needs_plugin"
        assert package in refused.value.reason


def test_what_begins_like_an_image_is_told_from_other_files():
    for kind in FORMATS:
        assert is_image(encoded(PICTURE, kind)), kind
    for start in (b"\0\0\0\x18ftypheic\0\0\0\0", b"8BPS\0\1", b"\xff\xd8\xff\xe0 damaged from here on"):
        assert is_image(start)
    for start in (b"", b"name,age\n", b"%PDF-1.7", b"PK\3\4", b"\0\0\0\x20ftypisom", bytes(64), b"#EXTM3U\n"):
        assert not is_image(start)


def test_formats_that_are_not_read_are_named():
    for content, name in [
        (b"8BPS\0\1" + bytes(20), "Photoshop"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "CR2"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"\0\0\0\x20ftypisom", "video"),
        (tiff((PICTURE, {50706: b"\1\4\0\0"})), "DNG"),
    ]:
        assert name in reason(content), name


def test_truncated_files_are_refused():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    kinds = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "PPM")
    for content in [heic(noise), *[encoded(noise, kind) for kind in kinds]]:
        for share in (0.3, 0.6, 0.9):
            reason(content[: int(share * len(content))])


def test_what_is_no_image_or_starts_programs_is_refused():
    assert reason(b"") == "the file is empty"
    for content in (b"\0" * 4096, b"name,age\nanna,7\n" * 40, b"%PDF-1.7\n", b"GIF89a", b"\xff\xd8\xff\xe0"):
        reason(content)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    assert "no image" in reason(postscript)
    for empty in (png(0, 5, 8, 2, b""), b"P6 0 4 255\n"):
        reason(empty)


def test_too_many_pixels_are_refused_by_the_header():
    decode(encoded(np.zeros((100, 100, 3), np.uint8)), 10_000)
    assert reason(encoded(np.zeros((100, 101, 3), np.uint8)), 10_000) == "more than 10,000 pixels (max_pixels)"
    bomb = png(30_000, 30_000, 8, 2, b"\0" * 90_001)
    assert len(bomb) < 1000
    assert reason(bomb, 100_000_000) == "more than 100,000,000 pixels (max_pixels)"
    assert reason(png(12_000, 10_000, 8, 0, b"\0"), 100_000_000) == "more than 100,000,000 pixels (max_pixels)"
    assert reason(bomb, 10**12) == "more than 178,956,970 pixels (max_pixels)"  # Pillow's own limit stays


def test_large_but_allowed_images_give_no_warning():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert "range" not in reason(png(10_000, 9_500, 8, 0, b"\0"), 100_000_000)  # 95 megapixels, truncated
    assert not seen


def decodes_or_refuses(content):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            image = decode(content, LIMIT)
        except Refused as refused:
            image, told = None, (refused.status, refused.reason)
    if image is None:
        assert told[0] == "unreadable"
        assert told[1]
    else:
        assert image.dtype == np.uint8
        assert image.shape[2:] == (3,)
        assert 0 < image.shape[0] * image.shape[1] <= LIMIT
    assert not seen


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(content):
    decodes_or_refuses(content)


def samples() -> list[bytes]:
    exif = exif_of(6)
    exif[0x010F] = "camera"
    picture = Image.fromarray(PICTURE)
    plain = [encoded(picture, kind) for kind in FORMATS if kind != "AVIF"]
    return [
        *plain,
        *[encoded(picture, kind, exif=exif) for kind in ("JPEG", "PNG", "TIFF")],
        encoded(picture.convert("CMYK"), "JPEG"),
        encoded(picture, "JPEG", progressive=True),
        encoded(picture.convert("RGBA"), "TIFF", compression="tiff_lzw"),
        encoded(np.zeros((20, 20), np.uint16), "PNG"),
        heic(PICTURE),
    ]


SAMPLES = samples()


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
    st.floats(0.05, 1),
    st.binary(max_size=20),
)
def test_damaged_images_decode_or_are_refused(content, changes, kept, appended):
    damaged = bytearray(content)
    for place, value in changes:
        damaged[int(place**3 * len(damaged))] = value  # headers lie at the front
    decodes_or_refuses(bytes(damaged[: max(1, int(kept * len(damaged)))]) + appended)

"""Crops against another implementation of the same arithmetic, and at the image's borders."""

import math

import cv2
import numpy as np
import pytest
from drawn_face import draw_face
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.config.validate import check_settings
from vec2uage.faces.crop import Crop, clamped, crop, resize
from vec2uage.faces.records import Face, Points, Refused

SIDES = st.integers(1, 90)


def face(left, top, right, bottom) -> Face:
    return Face(left, top, right, bottom, 1.0, "hog")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def by_opencv(image, height, width):
    """Area averaging where a side shrinks, bilinear where it grows; one side at a time where they differ."""
    for size in [(image.shape[1], height), (width, height)]:
        shrinks = size[0] < image.shape[1] or size[1] < image.shape[0]
        image = cv2.resize(
            image.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    return image


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99))
def test_resizing_equals_opencv(height, width, new_height, new_width, seed):
    image = noise(height, width, seed)
    wanted = by_opencv(image, new_height, new_width)
    np.testing.assert_allclose(resize(image, new_height, new_width), wanted, atol=0.52)


def test_faces_of_usual_sizes_equal_opencv():
    for side in (449, 300, 225, 223, 160, 81):
        image = draw_face(side)
        np.testing.assert_allclose(resize(image, 224, 224), by_opencv(image, 224, 224), atol=0.52, err_msg=str(side))


@given(SIDES, SIDES, st.integers(1, 4))
def test_whole_factors_are_plain_means(height, width, factor):
    image = noise(height * factor, width * factor)
    means = image.reshape(height, factor, width, factor, 3).mean((1, 3))
    np.testing.assert_allclose(resize(image, height, width), means, atol=0.51)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 255))
def test_an_even_area_stays_as_it_is(height, width, new_height, new_width, level):
    image = np.full((height, width, 3), level, np.uint8)
    assert (resize(image, new_height, new_width) == level).all()


@given(
    *[st.integers(-60, 120)] * 2,
    *[st.integers(1, 150)] * 2,
    st.sampled_from([0.0, 0.1, 1.5, (0.0, 0.5, 1.0, 2.5)]),
    st.sampled_from([None, 7]),
)
def test_a_crop_is_the_boxs_part_of_the_image(left, top, wide, high, margin, size):
    image = noise(50, 70)
    box = face(left, top, left + wide, top + high)
    before, above, after, below = margin if isinstance(margin, tuple) else [margin] * 4
    across = [x for x in range(left - round(before * wide), left + wide + round(after * wide)) if 0 <= x < 70]
    down = [y for y in range(top - round(above * high), top + high + round(below * high)) if 0 <= y < 50]
    if not across or not down:
        with pytest.raises(Refused) as refused:
            crop(image, box, Crop(size=size, margin=margin))
        assert refused.value.status == "too_small"
        return
    wanted = image[np.ix_(down, across)]
    got = crop(image, box, Crop(size=size, margin=margin))
    np.testing.assert_array_equal(got, wanted if size is None else resize(wanted, size, size))
    assert clamped(image, box, (before, above, after, below)) == (across[0], down[0], across[-1] + 1, down[-1] + 1)


def test_a_crop_does_not_share_the_images_memory():
    image = noise(20, 20)
    cut = crop(image, face(2, 2, 12, 12), Crop(size=None, margin=0.0))
    image[:] = 0
    assert cut.any()
    assert cut.flags.c_contiguous


def pointed(middle, side, degrees) -> Face:
    """Return a face whose eyes and mouth span a square of this middle and side, turned clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def at(x, y):
        return middle[0] + side * (x * cos - y * sin), middle[1] + side * (x * sin + y * cos)

    return Face(0, 0, 1, 1, 1.0, "yunet", Points(at(-0.5, -0.5), at(0.5, -0.5), at(0, 0), at(-0.3, 0.5), at(0.3, 0.5)))


def waves(x, y):
    """Levels of a smooth picture at any place."""
    return np.stack([127 + 100 * np.sin(x / (19 + c)) * np.cos(y / (23 - 2 * c)) for c in range(3)], axis=-1)


@pytest.mark.parametrize("degrees", [0, 25, 90, 180, -60])
@pytest.mark.parametrize(("side", "size"), [(40, 60), (90, None), (250, 60)])
def test_an_aligned_crop_is_the_upright_square_with_its_margins(degrees, side, size):
    y, x = np.mgrid[:900, :800] + 0.5
    image = np.rint(waves(x, y)).astype(np.uint8)
    left, top, right, bottom = margins = (0.25, 0.5, 0.75, 0.5)
    got = crop(image, pointed((390, 460), side, degrees), Crop(size=size, align="points", margin=margins))
    count = size or round(2 * side)
    place = (np.arange(count) + 0.5) / count * side
    turn = math.radians(degrees)
    u, v = np.meshgrid(
        place * (1 + left + right) - side * (0.5 + left), place * (1 + top + bottom) - side * (0.5 + top)
    )
    wanted = waves(390 + u * math.cos(turn) - v * math.sin(turn), 460 + u * math.sin(turn) + v * math.cos(turn))
    assert got.shape == (count, count, 3)
    assert np.abs(got - wanted).mean() < 1.5
    assert np.abs(got - wanted).max() < 8


@settings(max_examples=30)
@given(st.integers(-180, 180), st.integers(24, 90))
def test_an_aligned_face_is_upright_however_it_was_turned_and_large(degrees, side):
    face, scene = pointed((150, 150), side, degrees), np.zeros((300, 300, 3), np.uint8)
    x, y = face.points.left_eye
    cv2.circle(scene, (round(x), round(y)), side // 10, (255, 255, 255), -1)
    cut = crop(scene, face, Crop(size=100, align="points", margin=0.5))
    np.testing.assert_allclose(np.argwhere(cut[..., 0] > 127).mean(0), (25, 25), atol=3)


def test_beyond_the_image_an_aligned_crop_repeats_the_border_and_wholly_beyond_it_is_refused():
    image = noise(60, 60)
    image[:, 0] = 200
    options = Crop(size=20, align="points", margin=0.0)
    assert (crop(image, pointed((0, 30), 40, 0), options)[:, :8] == 200).all()
    for far in ((-100, 30), (30, 200)):
        with pytest.raises(Refused) as refused:
            crop(image, pointed(far, 40, 0), options)
        assert refused.value.status == "too_small"
    with pytest.raises(Refused):
        crop(image, pointed((30, 30), 0, 0), options)


def test_small_details_of_a_large_aligned_face_are_averaged():
    checks = np.indices((1200, 1200)).sum(0) % 2 * 255
    image = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    cut = crop(image, pointed((600, 600), 400, 0), Crop(size=50, align="points", margin=0.2))
    np.testing.assert_allclose(cut, 127.5, atol=8)


@pytest.mark.parametrize("margin", [-0.1, 11, "wide", [0.1, 0.2], [0.1, 0.2, 0.3, -1], None])
def test_what_is_no_margin_is_refused_with_what_one_is(margin):
    problems = []
    check_settings(Crop, {"size": 8, "margin": margin}, "crop", problems)
    assert len(problems) == 1
    assert all(word in problems[0] for word in ("crop.margin", "from 0 to 10", "[left,top,right,bottom]"))

"""Crops against another implementation of the same arithmetic, and at the image's borders."""

import cv2
import numpy as np
import pytest
from drawn_face import draw_face
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.faces.crop import Crop, clamped, crop, resize
from vec2uage.faces.records import Face, Refused

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
    st.sampled_from([0.0, 0.1, 1.5]),
    st.sampled_from([None, 7]),
)
def test_a_crop_is_the_boxs_part_of_the_image(left, top, wide, high, margin, size):
    image = noise(50, 70)
    box = face(left, top, left + wide, top + high)
    outer = (left - round(margin * wide), top - round(margin * high))
    across = [x for x in range(outer[0], left + wide + round(margin * wide)) if 0 <= x < 70]
    down = [y for y in range(outer[1], top + high + round(margin * high)) if 0 <= y < 50]
    if not across or not down:
        with pytest.raises(Refused) as refused:
            crop(image, box, Crop(size=size, margin=margin))
        assert refused.value.status == "too_small"
        return
    wanted = image[np.ix_(down, across)]
    got = crop(image, box, Crop(size=size, margin=margin))
    np.testing.assert_array_equal(got, wanted if size is None else resize(wanted, size, size))
    assert clamped(image, box, margin) == (across[0], down[0], across[-1] + 1, down[-1] + 1)


def test_a_crop_does_not_share_the_images_memory():
    image = noise(20, 20)
    cut = crop(image, face(2, 2, 12, 12), Crop(size=None, margin=0.0))
    image[:] = 0
    assert cut.any()
    assert cut.flags.c_contiguous

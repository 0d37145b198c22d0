"""Bad faces are refused by the measure that is bad; sizes and shifts do not move the measures much."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from drawn_face import draw_face
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.faces.detectors.whole import WholeImage
from vec2uage.faces.image import decode
from vec2uage.faces.quality import BasicQuality, MeasuredQuality, NoQuality
from vec2uage.faces.records import Face, Points, Refused

LAX = {"min_size": 1, "min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0, "max_clipped": 1.0}


def whole(image):
    return WholeImage().open()(image)[0]


@pytest.fixture(scope="module")
def basic() -> BasicQuality:
    options = yaml.safe_load(Path(conf_dir(), "quality/basic.yaml").read_text())
    del options["_target_"]
    return BasicQuality(**options)


def refusal(quality, image, face=None) -> tuple[str, str]:
    refused = quality.check(quality.measure(image, face or whole(image)))
    return refused.status, refused.reason.partition(":")[0]


def noise(level, spread=20):
    return np.clip(np.random.default_rng(0).normal(level, spread, (128, 128, 3)), 0, 255).astype(np.uint8)


def test_a_good_face_passes(basic):
    for seed in range(4):
        assert basic.check(basic.measure(draw_face(200, seed), whole(draw_face(200, seed)))) is None


def test_each_fault_has_its_status_and_code(basic):
    face = draw_face(200)
    blurred = np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(9)))
    assert refusal(basic, draw_face(30)) == ("too_small", "size")
    assert refusal(basic, blurred) == ("low_quality", "blur")
    assert refusal(basic, noise(25)) == ("low_quality", "dark")
    assert refusal(basic, noise(235)) == ("low_quality", "bright")
    stripes = np.repeat(np.repeat(np.tile(np.array([0, 255], np.uint8), 64)[None, :, None], 128, 0), 3, 2)
    assert refusal(basic, stripes) == ("low_quality", "exposure")


def test_the_part_outside_the_image_does_not_count(basic):
    image = draw_face(200)
    assert refusal(basic, image, Face(-300, 10, 30, 340, 1.0, "hog")) == ("too_small", "size")
    with pytest.raises(Refused, match="outside"):
        basic.measure(image, Face(300, 0, 400, 100, 1.0, "hog"))


@pytest.mark.parametrize("bound", ["min_size", "min_sharpness", "min_brightness", "max_brightness", "max_clipped"])
def test_a_threshold_is_the_last_value_that_passes(bound):
    image = draw_face(150, seed=1)
    measures = BasicQuality(**LAX).measure(image, whole(image))
    value = measures[bound.partition("_")[2]]
    whole_numbers = int if bound == "min_size" else float
    assert BasicQuality(**LAX | {bound: whole_numbers(value)}).check(measures) is None
    step = {"min_size": 1, "max_clipped": -0.0001}.get(bound, 0.01 if bound.startswith("min") else -0.01)
    if value + step >= 0:
        assert BasicQuality(**LAX | {bound: whole_numbers(value + step)}).check(measures) is not None


@settings(max_examples=20)
@given(st.integers(128, 400), st.integers(0, 20))
def test_measures_compare_between_sizes(size, seed):
    quality = BasicQuality(**LAX)
    large, usual = (quality.measure(draw_face(s, seed), whole(draw_face(s, seed))) for s in (size, 256))
    assert large["sharpness"] == pytest.approx(usual["sharpness"], rel=0.35)
    assert large["brightness"] == pytest.approx(usual["brightness"], abs=1)


@given(st.floats(0.5, 8), st.integers(0, 20))
def test_more_blur_is_less_sharp(radius, seed):
    quality = BasicQuality(**LAX)
    image = draw_face(160, seed)
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))
    assert quality.measure(blurred, whole(image))["sharpness"] < quality.measure(image, whole(image))["sharpness"]


def test_sharpness_is_the_variance_of_opencvs_laplacian():
    image = draw_face(128)
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    wanted = cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1].var()
    assert BasicQuality(**LAX).measure(image, whole(image))["sharpness"] == pytest.approx(wanted, abs=0.02)


HEAD = np.array([(-1, 0, 0), (1, 0, 0), (0, 1, 0.86), (-0.7, 2, 0.1), (0.7, 2, 0.1)])
"""Eyes, nose and mouth of a head that looks at the camera: x to the right, y down, z to the camera."""


def posed(yaw, roll, scale) -> Face:
    """Return the face of a head turned about its neck, to the right in the picture, then tilted clockwise."""
    y, r = np.radians((yaw, roll))
    about_neck = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    in_plane = np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]])
    points = Points(*map(tuple, (100 + scale * (HEAD @ about_neck.T)[:, :2] @ in_plane.T).tolist()))
    return Face(10, 10, 150, 150, 0.87654, "yunet", points)


@settings(max_examples=30)
@given(st.integers(-60, 60), st.integers(-170, 170), st.integers(5, 40))
def test_the_pose_of_a_head_is_measured_by_its_points(yaw, roll, scale):
    measures = MeasuredQuality().measure(np.full((200, 200, 3), 99, np.uint8), posed(yaw, roll, scale))
    assert measures["yaw"] == pytest.approx(yaw, abs=0.2)
    assert measures["roll"] == pytest.approx(roll, abs=0.2)
    assert measures["eyes"] == pytest.approx(2 * scale * np.cos(np.radians(yaw)), abs=0.1)
    assert measures["score"] == 0.8765


def test_all_that_basic_measures_is_measured_and_nothing_refused(basic):
    image = draw_face(150)
    black = np.zeros((1, 1, 3), np.uint8)
    assert MeasuredQuality().measure(image, whole(image)) == basic.measure(image, whole(image))
    assert MeasuredQuality().check(MeasuredQuality().measure(black, whole(black))) is None


def test_no_quality_measures_and_refuses_nothing():
    black = np.zeros((1, 1, 3), np.uint8)
    assert NoQuality().measure(black, whole(black)) == {}
    assert NoQuality().check({}) is None


def test_few_real_chips_are_refused(basic, shared):
    images = [decode(path.read_bytes(), 10**6) for path in sorted((shared / "data/utkface").iterdir())[::24]]
    refused = [basic.check(basic.measure(image, whole(image))) is not None for image in images]
    assert np.mean(refused) < 0.03

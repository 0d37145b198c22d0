"""Every operation does to a face what its settings say, and refuses what it cannot do before any work starts."""

import re
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from vec2uage.augmentation import ops
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.recipe import Recipe
from vec2uage.config.validate import check_settings

SURE = {"probability": 1.0}
FACTORS = {"brightness": ops.Brightness, "colour": ops.RandomColour, "contrast": ops.RandomContrast}
# Augmentor itself uses what NumPy and Pillow will drop one day.
OLD = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


def done(op: ops.Op, face: np.ndarray, number: int = 0) -> np.ndarray:
    return Recipe((("op", op),), "all", 0).draw(face, "a face", number)


def problems_of(cls: type, **values: Any) -> list[str]:
    """Check options as the command line gives them, in their place in the configuration."""
    problems: list[str] = []
    check_settings(cls, SURE | values, "augmentation.op.mine", problems)
    return problems


def far(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference of two pictures."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def ramp(side: int = 128) -> np.ndarray:
    """A picture that says in red from which column, and in green from which row, a pixel comes."""
    row, column = np.mgrid[:side, :side].astype(np.uint8)
    return np.stack([column, row, np.zeros_like(row)], axis=2)


@pytest.mark.parametrize("choice", ["table1", "published"])
def test_faces_keep_their_size_and_the_original_is_left_alone(
    face: np.ndarray, composed: Callable[..., ImageAugmentation], choice: str
) -> None:
    before = face.copy()
    picture = np.array(face[:, :80])  # not square and writeable: nothing but good manners protects it
    for name, op in composed(choice).op:
        drawn = done(op, picture)
        assert (drawn.shape, drawn.dtype) == ((100, 80, 3), np.uint8), name
        assert (picture == before[:, :80]).all(), name


def test_flips_are_exact_mirrors_and_a_random_one_is_one_of_both(face: np.ndarray) -> None:
    for number in range(5):
        assert (done(ops.Flip(direction="horizontal", **SURE), face, number) == face[:, ::-1]).all()
        assert (done(ops.Flip(direction="vertical", **SURE), face, number) == face[::-1]).all()
    drawn = [done(ops.Flip(direction="random", **SURE), face, number).tobytes() for number in range(20)]
    assert set(drawn) == {face[:, ::-1].tobytes(), face[::-1].tobytes()}


def test_what_changes_nothing_leaves_the_face(face: np.ndarray) -> None:
    assert (done(ops.Rotation(angle=0, **SURE), face) == face).all()
    assert (done(ops.Zoom(min_factor=1, max_factor=1, **SURE), face) == face).all()
    assert (done(ops.RandomZoom(side=1, **SURE), face) == face).all()
    for cls in FACTORS.values():
        assert far(done(cls(min_factor=1, max_factor=1, **SURE), face), face) <= 1
    still = ops.RandomDistortion(grid_width=4, grid_height=4, magnitude=0, **SURE)
    assert far(done(still, face), face) <= 1


def test_factor_zero_takes_the_property_away(face: np.ndarray) -> None:
    black, grey, plain = (done(cls(min_factor=0, max_factor=0, **SURE), face) for cls in FACTORS.values())
    assert not black.any()
    assert (grey == grey[:, :, :1]).all()
    luma = face @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    assert np.abs(grey[:, :, 0] - luma).max() <= 1
    assert len(np.unique(plain)) == 1
    assert abs(float(plain.mean()) - luma.mean()) <= 1


def test_factors_are_linear_in_the_property(face: np.ndarray) -> None:
    bright = done(ops.Brightness(min_factor=2, max_factor=2, **SURE), face)
    assert far(bright, np.minimum(2 * face.astype(int), 255)) <= 1
    mean = round(np.asarray(Image.fromarray(face).convert("L")).mean())
    contrasted = done(ops.RandomContrast(min_factor=5, max_factor=5, **SURE), face)
    assert far(contrasted, np.clip(mean + 5 * (face.astype(int) - mean), 0, 255)) <= 5


def test_factors_are_drawn_between_both_limits(face: np.ndarray) -> None:
    op = ops.Brightness(min_factor=0.5, max_factor=0.9, **SURE)
    factors = [done(op, face, number).sum() / face.sum() for number in range(60)]
    assert 0.49 < min(factors) < 0.56
    assert 0.84 < max(factors) < 0.91


@pytest.mark.parametrize("angle", [5, 25])
def test_rotation_turns_to_both_sides_and_no_further_than_its_angle(angle: int) -> None:
    turned = []
    for number in range(40):
        drawn = done(ops.Rotation(angle=angle, **SURE), ramp(), number)[30:-30, 30:-30].astype(float)
        across, down = np.gradient(drawn[:, :, 0])[::-1]
        turned.append(np.degrees(np.arctan2(down.mean(), across.mean())))
    assert max(np.abs(turned)) < angle + 1
    assert min(turned) < -0.6 * angle
    assert max(turned) > 0.6 * angle


def test_rotation_leaves_no_empty_corners() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    for angle, number in product([2, 5, 25], range(30)):
        drawn = done(ops.Rotation(angle=angle, **SURE), white, number)
        # bicubic interpolation at the border may darken the outermost pixels a little
        assert (drawn[2:-2, 2:-2] > 200).all(), (angle, number)


def test_zoom_shows_the_middle_half_of_each_side() -> None:
    drawn = done(ops.Zoom(min_factor=2, max_factor=2, **SURE), ramp())
    for channel in (0, 1):
        assert (drawn[:, :, channel].min(), drawn[:, :, channel].max()) == pytest.approx((32, 96), abs=1)


def test_random_zoom_shows_a_part_of_its_side_from_changing_places() -> None:
    seen = [done(ops.RandomZoom(side=0.5, **SURE), ramp(), number)[:, :, 0].astype(int) for number in range(20)]
    assert all(columns.max() - columns.min() == pytest.approx(63, abs=2) for columns in seen)
    assert len({int(columns.min()) for columns in seen}) > 10


def test_distortion_moves_pixels_no_further_than_its_magnitude() -> None:
    op = ops.RandomDistortion(grid_width=4, grid_height=4, magnitude=6, **SURE)
    moved = [np.abs(done(op, ramp(), number).astype(int) - ramp())[:, :, :2].max() for number in range(10)]
    assert 3 <= max(moved) <= 8  # two more, as interpolation overshoots where tiles meet


@given(number=st.integers(0, 10**6), share=st.floats(0.101, 1))
def test_erasing_puts_noise_over_one_rectangle_of_its_share(face: np.ndarray, number: int, share: float) -> None:
    changed = (done(ops.RandomErasing(rectangle_area=share, **SURE), face, number) != face).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert max(height, width) <= share * 100
    assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95


@pytest.mark.parametrize(
    ("cls", "values", "told"),
    [
        (ops.Rotation, {"angle": 26}, r"\.angle = 26: should be less than or equal to 25"),
        (ops.Rotation, {"angle": 2.5}, r"\.angle = 2.5: should be a whole number"),
        (ops.Brightness, {"min_factor": 2, "max_factor": 1}, "min_factor=2 is above max_factor=1"),
        (ops.Zoom, {"min_factor": 3, "max_factor": 1.5}, "min_factor=3 is above max_factor=1.5"),
        (ops.Zoom, {"min_factor": 0.5, "max_factor": 1}, r"\.min_factor = 0.5: should be greater than or equal to 1"),
        (ops.RandomContrast, {"min_factor": -1, "max_factor": 1}, r"\.min_factor = -1"),
        (ops.RandomColour, {"min_factor": 1, "max_factor": float("inf")}, r"\.max_factor = inf"),
        (ops.RandomErasing, {"rectangle_area": 0.05}, r"\.rectangle_area = 0.05: should be greater than 0.1"),
        (ops.RandomZoom, {"side": 0}, r"\.side = 0"),
        (ops.RandomDistortion, {"grid_width": 0, "grid_height": 1, "magnitude": 1}, r"\.grid_width = 0"),
        (ops.Flip, {"direction": "left"}, r"\.direction = 'left': should be 'horizontal', 'vertical' or 'random'"),
        (ops.Flip, {"direction": "random", "probability": 1.5}, r"\.probability = 1.5: should be less than or equal"),
        (ops.Flip, {"direction": "random", "probability": -0.1}, r"\.probability = -0.1"),
        (ops.Flip, {"direction": "random", "angle": 1}, r"\.angle = 1: no such option"),
        (ops.Flip, {}, r"\.direction is missing"),
    ],
)
def test_bad_options_are_refused_by_name(cls: type, values: dict[str, Any], told: str) -> None:
    (problem,) = problems_of(cls, **values)
    assert problem.startswith("augmentation.op.mine")
    assert re.search(told, problem)


SHIFTS = ("hue_shift", "saturation_scale", "saturation_shift", "value_scale", "value_shift")
GRID = {"grid_width": 3, "grid_height": 3, "magnitude": 4}
BELL = {"corner": "bell", "method": "in", "mex": 0.5, "mey": 0.5, "sdx": 0.05, "sdy": 0.05}
OTHERS: dict[str, dict[str, Any]] = {
    "BlackAndWhite": {"threshold": 128},
    "CropPercentage": {"percentage_area": 0.5, "centre": False, "randomise_percentage_area": False},
    "GaussianDistortion": GRID | BELL,
    "Greyscale": {},
    "HSVShifting": dict.fromkeys(SHIFTS, 0.1) | {"hue_shift": 0.2},
    "HistogramEqualisation": {},
    "Invert": {},
    "Rotate": {"rotation": 90},
    "RotateStandard": {"max_left_rotation": 10, "max_right_rotation": 10, "fillcolor": [9, 9, 9]},
    "Shear": {"max_shear_left": 10, "max_shear_right": 10},
    "Skew": {"skew_type": "CORNER", "magnitude": 0.3},
}


@OLD
@pytest.mark.parametrize("name", OTHERS)
def test_any_other_operation_of_augmentor_works_by_its_name(face: np.ndarray, name: str) -> None:
    problems: list[str] = []
    values = {"operation_class": name, "options": OTHERS[name], **SURE}
    op = check_settings(ops.AugmentorOperation, values, "augmentation.op.mine", problems)
    assert not problems
    drawn = done(op, face)
    assert (drawn.dtype, drawn.shape[2]) == (np.uint8, 3)
    assert drawn.shape != face.shape or (drawn != face).any()
    assert (drawn == done(op, face)).all()
    assert op.text().startswith(name)
    assert "probability" not in op.text()


def test_operations_by_name_do_what_pillow_does(face: np.ndarray) -> None:
    def drawn(name: str, **options: Any) -> np.ndarray:
        return done(ops.AugmentorOperation(operation_class=name, options=options, **SURE), face)

    assert (drawn("Invert") == 255 - face).all()
    assert (drawn("Greyscale") == np.asarray(Image.fromarray(face).convert("L"))[:, :, None]).all()
    assert (drawn("HistogramEqualisation") == np.asarray(ImageOps.equalize(Image.fromarray(face)))).all()
    assert (drawn("Rotate", rotation=90) == np.rot90(face)).all()
    assert (drawn("Flip", top_bottom_left_right="LEFT_RIGHT") == face[:, ::-1]).all()


@pytest.mark.parametrize("name", ["Sharpen", "Custom", "Image"])
def test_what_is_no_operation_for_one_image_is_refused_with_those_that_are(name: str) -> None:
    (problem,) = problems_of(ops.AugmentorOperation, operation_class=name, options={})
    assert f"operation_class={name}" in problem
    allowed = problem.partition("allowed are: ")[2].split(", ")
    assert {*OTHERS, "Flip", "Zoom", "RandomErasing"} <= set(allowed)
    assert not {"Custom", "Mixup", "Operation"} & set(allowed)


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"max_shear_left": 5}, "max_shear_left"),
        ({"max_shear_left": 5, "max_shear_right": 5, "colour": 1}, "colour, max_shear_left, max_shear_right"),
        ({"max_shear_left": 5, "max_shear_right": 5, "probability": 1}, "max_shear_left, max_shear_right, probability"),
        ({}, "none"),
    ],
)
def test_missing_and_surplus_options_are_refused_with_the_right_ones(options: dict[str, Any], given: str) -> None:
    (problem,) = problems_of(ops.AugmentorOperation, operation_class="Shear", options=options)
    assert "options of Shear are max_shear_left, max_shear_right; " in problem
    assert problem.endswith(f"given are: {given}")

"""Photographs that lie on a side or upside down: faces are found upright, and boxes and points come back."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from drawn_face import draw_scene
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.faces.detectors.whole import WholeImage
from vec2uage.faces.detectors.yunet import YuNet
from vec2uage.faces.records import Face, Points
from vec2uage.faces.turning import find_turned, in_image, turned

TURNS = (90, 180, 270)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 80), st.sampled_from((0, *TURNS)))
def test_a_box_and_points_come_back_to_where_they_are_in_the_image(height, width, place, turn):
    image = np.zeros((height, width, 3), np.uint8)
    y, x = divmod(place % (height * width), width)
    image[y, x] = 9
    ((row, column, _), *_) = np.argwhere(turned(image, turn)).tolist()
    middle = Points(*[(column + 0.5, row + 0.5)] * 5)
    face = in_image(Face(column, row, column + 1, row + 1, 1.0, "yunet", middle, turn), (height, width))
    assert face == Face(x, y, x + 1, y + 1, 1.0, "yunet", Points(*[(x + 0.5, y + 0.5)] * 5), turn)


@pytest.mark.parametrize("lying", [0, *TURNS])
def test_a_face_is_found_upright_however_its_photograph_lies(lying):
    options = yaml.safe_load(Path(conf_dir(), "detector/yunet.yaml").read_text())
    del options["_target_"]
    yunet = YuNet(**options)
    detect, scene = yunet.open(), draw_scene(300, 420, (40, 60, 200))
    (upright,) = detect(scene)
    photograph = turned(scene, lying)
    (face,) = find_turned(detect, photograph, TURNS, yunet.is_upright)
    assert face.turn == (360 - lying) % 360
    np.testing.assert_allclose(face.points.all(), upright.points.all(), atol=3)
    back = in_image(face, photograph.shape[:2])
    y, x = (round(v) for v in back.points.left_eye[::-1])
    place = np.zeros((300, 420, 3), np.uint8)
    place[tuple(round(v) for v in upright.points.left_eye[::-1])] = 1
    ((row, column, _), *_) = np.argwhere(turned(place, lying)).tolist()
    assert abs(row - y) < 5
    assert abs(column - x) < 5


def stand_in(scores):
    """Return a detector that finds a face of each next score, none where it is None, and what it was asked."""
    asked = []

    def detect(image):
        asked.append(image.shape[:2])
        score = scores[len(asked) - 1]
        return [] if score is None else [Face(0, 0, 1, 1, score, "cnn")]

    return detect, asked


@pytest.mark.parametrize(
    ("scores", "least", "turn", "searches"),
    [
        ([0.95], 0.9, 0, 1),
        ([0.8, 0.7, 0.95], 0.9, 180, 3),
        ([0.8, 0.85, 0.7, 0.6], 0.9, 90, 4),
        ([0.8, None, 0.8, 0.8], 0.9, 0, 4),
        ([None, None, None, 0.1], 0.0, 270, 4),
    ],
)
def test_the_turn_with_the_surest_face_is_taken(scores, least, turn, searches):
    detect, asked = stand_in(scores)
    (face,) = find_turned(detect, np.zeros((3, 5, 3), np.uint8), TURNS, lambda score: score >= least)
    assert (face.turn, len(asked)) == (turn, searches)
    assert asked == [(3, 5), (5, 3), (3, 5), (5, 3)][:searches]


def test_a_face_that_nothing_detected_is_upright_and_none_stays_none():
    image = np.zeros((3, 5, 3), np.uint8)
    (face,) = find_turned(WholeImage().open(), image, TURNS)
    assert (face.turn, face.right, face.bottom) == (0, 5, 3)
    detect, asked = stand_in([None] * 4)
    assert find_turned(detect, image, TURNS) == []
    assert len(asked) == 4

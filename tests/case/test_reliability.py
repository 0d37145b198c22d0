"""Which faces are called doubtful, and why."""

import math
from dataclasses import replace

import pytest
from made_case import MEASURES, face, file, results

from vec2uage.case.reliability import Reliability, with_doubts
from vec2uage.faces.records import Face

RULES = Reliability(
    min_eyes=20,
    min_size=40,
    min_sharpness=10,
    min_brightness=40,
    max_clipped=0.25,
    min_score=0.7,
    max_yaw=40,
)
FACE = Face(0, 0, 10, 10, 0.9, "yunet")
GOOD = MEASURES | {"roll": 2.0, "yaw": -5.0}


@pytest.mark.parametrize(
    ("measures", "doubts"),
    [
        ({}, ()),
        ({"eyes": 19.9}, ("small",)),
        ({"eyes": 20.0, "size": 39.0}, ()),
        ({"eyes": math.nan, "size": 39.0}, ("small",)),
        ({"sharpness": 3.0, "brightness": 20.0}, ("blurred", "dark")),
        ({"clipped": 0.6}, ("clipped",)),
        ({"yaw": -41.0}, ("in profile",)),
        ({"yaw": math.nan}, ()),
    ],
)
def test_each_rule_has_a_word(measures: dict[str, float], doubts: tuple[str, ...]) -> None:
    assert RULES.doubts(GOOD | measures, FACE) == doubts


def test_scores_count_on_the_detectors_own_scale() -> None:
    assert RULES.doubts(GOOD, replace(FACE, score=0.69)) == ("hardly a face",)
    assert RULES.doubts(GOOD, replace(FACE, score=math.nan)) == ()


def test_a_face_that_was_found_when_its_photograph_was_turned_is_doubtful() -> None:
    assert RULES.doubts(GOOD, replace(FACE, turn=180)) == ("turned",)


def test_a_face_of_which_nothing_was_measured_is_not_called_good() -> None:
    assert RULES.doubts({}, FACE) == ("not measured",)


def test_all_who_read_judged_results_see_the_same_doubts() -> None:
    case = with_doubts(
        results(file("a", face(1, measures=GOOD | {"eyes": 5.0}), face(2, doubts=("small",))), file("b")), RULES
    )
    for _ in range(2):
        first, second = case()
        assert [found.reliability for found in first.faces] == ["small", "ok"]
        assert second.faces == ()

"""The keep rule is plain comparisons, the limits included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.augmentation.keep_rule import KeepRule
from vec2uage.config.validate import check_settings

COSINE = st.floats(-1, 1)
OPTIONS = {"threshold": 0.6, "band": (0.6, 0.95), "level": "op", "draws": 1, "retries": 0}


def keep(rule: str, **options: object) -> KeepRule:
    return KeepRule(rule=rule, **OPTIONS | options)


@given(cosines=st.lists(COSINE, max_size=20), threshold=COSINE, ends=st.tuples(COSINE, COSINE), data=st.data())
def test_each_rule_is_a_plain_comparison(
    cosines: list[float], threshold: float, ends: tuple[float, float], data: st.DataObject
) -> None:
    low, high = sorted(ends)
    if cosines and data.draw(st.booleans(), "a cosine on the limit"):
        cosines[0] = data.draw(st.sampled_from([threshold, low, high]))
    expected = {
        "all": [True for _ in cosines],
        "above": [not value < threshold for value in cosines],
        "below": [not value > threshold for value in cosines],
        "band": [not (value < low or value > high) for value in cosines],
    }
    for rule, kept in expected.items():
        found = keep(rule, threshold=threshold, band=(low, high)).keeps(np.array(cosines, dtype=np.float64))
        assert found.tolist() == kept, rule


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"band": [0.9, 0.6]}, "the first number of the band must not be above the second"),
        ({"threshold": 1.1}, "augmentation.keep.threshold = 1.1: should be less than or equal to 1"),
        ({"draws": 0}, "augmentation.keep.draws = 0"),
        ({"retries": -1}, "augmentation.keep.retries = -1"),
        ({"level": "face"}, "augmentation.keep.level = 'face': should be 'op' or 'sample'"),
        ({"rule": "none"}, "augmentation.keep.rule = 'none': should be 'all', 'above', 'below' or 'band'"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, object], told: str) -> None:
    problems: list[str] = []
    check_settings(KeepRule, {"rule": "band", **OPTIONS, **options}, "augmentation.keep", problems)
    (problem,) = problems
    assert problem.startswith("augmentation.keep")
    assert told in problem


def test_the_text_says_what_is_kept() -> None:
    assert [keep(rule).text() for rule in ("all", "above", "below", "band")] == [
        "all",
        "cosine >= 0.6",
        "cosine <= 0.6",
        "0.6 <= cosine <= 0.95",
    ]

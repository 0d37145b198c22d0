"""Changed options are named with both values."""

from vec2uage.config.differences import differences


def test_each_change_is_named_with_both_values() -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 4}, "x.") == (
        "x.b: 2 there, 5 now; x.c: 3 there, None now; x.d: None there, 4 now"
    )


def test_no_change_is_no_text_and_many_are_counted() -> None:
    assert differences({"a": 1}, {"a": 1}) == ""
    assert differences({}, {str(k): k for k in range(5)}).endswith(" and 2 more")

"""How numbers are told."""

import doctest

from vec2uage.base import formatting
from vec2uage.base.formatting import duration, size


def test_the_examples_hold() -> None:
    assert doctest.testmod(formatting).failed == 0


def test_units_change_where_they_should() -> None:
    assert [duration(seconds) for seconds in (0, 119, 120, 172_800)] == ["0 s", "119 s", "2.0 min", "2.0 days"]
    assert [size(count) for count in (0, 1e6, 999e6, 1e9)] == ["0.0 MB", "1 MB", "999 MB", "1.0 GB"]

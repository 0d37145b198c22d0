"""How numbers are told."""

import doctest

import pytest

from vec2uage.base.formatting import duration, size


def test_the_examples_hold() -> None:
    assert doctest.testmod(formatting).failed == 0


@pytest.mark.parametrize(("seconds", "told"), [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (172_800, "2.0 days")])
def test_a_duration_is_told_in_its_unit(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(("count", "told"), [(0, "0.0 MB"), (1e6, "1 MB"), (999e6, "999 MB"), (1e9, "1.0 GB")])
def test_bytes_are_told_in_their_unit(count: float, told: str) -> None:
    assert size(count) == told

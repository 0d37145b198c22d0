"""Settings classes check themselves and can be compared and hashed."""

from dataclasses import FrozenInstanceError
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from vec2uage.config.settings import settings


@settings
class Brush:
    width: Annotated[float, Field(gt=0)]
    colours: tuple[str, ...] = ("red",)


def test_equal_settings_are_one_key() -> None:
    assert {Brush(width=1), Brush(width=1.0)} == {Brush(width=1)}
    assert Brush(width=1) != Brush(width=2)


@pytest.mark.parametrize("wrong", [{}, {"width": 0}, {"width": "wide"}, {"width": 1, "height": 2}])
def test_wrong_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Brush(**wrong)  # type: ignore[arg-type]


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Brush(width=1).width = 2  # type: ignore[misc]

"""From options to a command's settings by the annotations of its class alone, all mistakes at once."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from omegaconf import OmegaConf
from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.config.settings import CheckedBy, Choice, PositiveInt, settings
from vec2uage.config.validate import from_config


@settings
class Shape:
    """The base class of a config group."""


@settings
class Square(Shape):
    side: PositiveInt


@settings
class Pen:
    width: Annotated[float, Field(gt=0)]


def even(value: Any, key: str, problems: list[str]) -> Any:
    if value % 2:
        problems.append(f"{key} = {value}: should be even")
    return value


@dataclass(frozen=True)
class Drawing:
    title: str
    size: PositiveInt | Literal["auto"]
    colours: tuple[str, ...]
    pen: Pen
    shape: Choice[Shape]
    copies: Annotated[int, CheckedBy(even)]
    made_of_others: str = "no option"


def options(**changed: Any) -> dict[str, Any]:
    shape = {"_target_": f"{__name__}.Square", "side": 3}
    given = {"title": "a", "size": "auto", "colours": ["red"], "pen": {"width": 1}, "shape": shape, "copies": 2}
    return given | changed


@pytest.mark.parametrize("wrap", [OmegaConf.create, dict], ids=["composed", "plain"])
def test_options_become_what_their_annotations_say(wrap: Any) -> None:
    drawing = from_config(wrap(options()), Drawing)
    assert drawing == Drawing("a", "auto", ("red",), Pen(width=1.0), Square(side=3), 2)


def test_every_mistake_is_told_with_its_key_and_what_is_allowed() -> None:
    given = options(
        size=0,
        colours="red",
        pen={"width": "thick", "wdith": 1},
        shape={"_target_": f"{__name__}.Pen", "width": 1},
        copies=3,
        titel="b",
        made_of_others="c",
    )
    del given["title"]
    with pytest.raises(UserError) as refused:
        from_config(given, Drawing)
    allowed = "allowed are: colours, copies, pen, shape, size, title"
    assert refused.value.problems == (
        f"titel = 'b': no such option; did you mean title? {allowed}",
        f"made_of_others = 'c': no such option; {allowed}",
        "title is missing",
        "size = 0: should be greater than or equal to 1 or 'auto'",
        "colours = 'red': should be a list in brackets, as in [1,2]",
        "pen.wdith = 1: no such option; did you mean width? allowed are: width",
        "pen.width = 'thick': should be a number",
        f"shape._target_ = {__name__}.Pen: must be a subclass of Shape",
        "copies = 3: should be even",
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"pen": 3}, "pen = 3: should have options of its own"),
        ({"shape": {"side": 3}}, "needs a _target_"),
        ({"title": "???"}, "title is missing: set title="),
        ({"title": "???", "pen": {"width": "???"}}, "2 options are wrong:\n  pen.width is missing: set pen.width="),
    ],
)
def test_a_mistake_is_told_in_one_sentence(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        from_config(OmegaConf.create(options(**changed)), Drawing)

"""The options of a prepared set, as the version that made it recorded them."""

from typing import Any

import pytest

from vec2uage.faces.prepare_settings import changed_options

CROP = {"size": 224, "margin": 0.0}


@pytest.mark.parametrize(
    ("group", "before", "now", "changed"),
    [
        ("embedder", {"output": "raw"}, {"output": "raw", "layer": "last_linear"}, ""),
        ("embedder", {"output": "raw"}, {"output": "raw", "layer": "block8"}, "layer: 'last_linear' there"),
        ("embedder", {"output": "raw", "layer": "stem"}, {"output": "raw", "layer": "last_linear"}, "'stem' there"),
        ("embedder", {"align": "none"}, {"align": "none"}, ""),
        ("crop", CROP, CROP | {"align": "box"}, ""),
        ("crop", CROP, CROP | {"align": "points"}, "align: 'box' there"),
    ],
)
def test_a_set_of_an_earlier_version_differs_in_what_it_was_made_with_alone(
    group: str, before: dict[str, Any], now: dict[str, Any], changed: str
) -> None:
    rest = {"faces": "largest", "crop": CROP, "embedder": {}}
    told = changed_options(rest | {group: before}, rest | {group: now})
    assert changed in told
    assert bool(told) == bool(changed)

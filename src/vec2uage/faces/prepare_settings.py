"""The settings of `vec2uage.prepare`, but for those of augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import differences
from vec2uage.config.settings import Choice, PositiveInt
from vec2uage.data.leakage import Leakage
from vec2uage.data.splits import Split
from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector, FaceChoice
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.quality import Quality
from vec2uage.faces.sources.base import Source

# Pillow refuses larger images itself.
MaxPixels = Annotated[int, Field(ge=1, le=178_956_970)]


@dataclass(frozen=True)
class PrepareSettings:
    """How photographs become a divided set of vectors, and where it goes."""

    source: Choice[Source]
    detector: Choice[Detector]
    crop: Crop
    quality: Choice[Quality]
    embedder: Choice[Embedder]
    split: Choice[Split]
    leakage: Choice[Leakage]
    faces: FaceChoice
    store: str
    keep_crops: bool
    json: bool
    max_pixels: MaxPixels
    workers: PositiveInt | Literal["auto"]
    device: DeviceName
    overwrite: bool
    output: str

    def __post_init__(self) -> None:
        self.split.check(divided=False)
        if self.split.is_per_run:
            raise UserError("split.seed = 'run': should be a whole number, as the set is divided once for all runs")

    def extraction(self, keep_crops: Path | None) -> Extraction:
        """Return how photographs become vectors; crops go to the folder `keep_crops`, if any."""
        return Extraction(
            detector=self.detector,
            faces=self.faces,
            crop=self.crop,
            quality=self.quality,
            embedder=self.embedder,
            max_pixels=self.max_pixels,
            keep_crops=keep_crops,
        )


# Options that say how to compute, not what: no vector depends on them.
_EXECUTION_OPTIONS = ("store", "workers", "device", "overwrite", "output")
_ADDED = {"crop": {"align": "box"}, "embedder": {"layer": "last_linear"}}
"""By group, the options that earlier versions did not have, as what they did."""


def recorded_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a configuration, as plain containers, that decide what is in a prepared set."""
    decisive = {field.name for field in fields(PrepareSettings)}.difference(_EXECUTION_OPTIONS)
    return {key: value for key, value in options.items() if key in decisive}


def changed_options(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the options that differ between those recorded by any version and those of `now`; "" where none does."""
    added = {
        group: {key: value for key, value in values.items() if key in now[group]} | before.get(group, {})
        for group, values in _ADDED.items()
    }
    return differences({**before, **added}, now)

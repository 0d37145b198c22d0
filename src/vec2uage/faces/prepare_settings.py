"""The settings of `vec2uage.prepare`, read from a composed configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig
from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.config.validate import check_group, check_keys, check_settings, check_value, refuse, to_container
from vec2uage.data.leakage import Leakage
from vec2uage.data.prepared import Splitter
from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector, Faces
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.quality import Quality
from vec2uage.faces.sources.base import Source

Count = Annotated[int, Field(ge=1)]
MOST_PIXELS = 178_956_970  # Pillow refuses larger images itself


@dataclass(frozen=True)
class PrepareSettings:
    """Everything that `vec2uage.prepare` does; `options` is the configuration as plain containers."""

    source: Source
    detector: Detector
    crop: Crop
    quality: Quality
    embedder: Embedder
    split: Splitter
    leakage: Leakage
    faces: Faces
    store: str
    keep_crops: bool
    json: bool
    max_pixels: int
    workers: int | Literal["auto"]
    device: str
    overwrite: bool
    options: dict[str, Any]

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


_GROUPS: dict[str, Any] = {
    "source": Source,
    "detector": Detector,
    "quality": Quality,
    "embedder": Embedder,
    "split": Splitter,
}
_VALUES: dict[str, Any] = {
    "faces": Faces,
    "store": str,
    "keep_crops": bool,
    "json": bool,
    "max_pixels": Annotated[int, Field(ge=1, le=MOST_PIXELS)],
    "workers": Count | Literal["auto"],
    "device": DeviceName,
    "overwrite": bool,
    "output": str,
}
# Options that say how to compute, not what: they take no part in telling one result from another.
_HOW = ("store", "workers", "device", "overwrite", "output")


def from_config(cfg: DictConfig) -> PrepareSettings:
    """Check a composed configuration and turn it into settings.

    Raises UserError naming every wrong key, its value and what is allowed, before any work starts.
    """
    plain = to_container(cfg)
    known = {*_GROUPS, *_VALUES, "crop", "leakage"}
    check_keys(plain, known)
    problems: list[str] = []
    parts = {key: check_value(kind, plain[key], key, problems) for key, kind in _VALUES.items()}
    parts |= {group: check_group(plain[group], group, base, problems) for group, base in _GROUPS.items()}
    parts["crop"] = check_settings(Crop, plain["crop"], "crop", problems)
    parts["leakage"] = check_settings(Leakage, plain["leakage"], "leakage", problems)
    refuse(problems)
    del parts["output"]
    return PrepareSettings(**parts, options={key: value for key, value in plain.items() if key not in _HOW})

"""The settings of `vec2uage.augment`, read from a composed configuration, and of augmentation in other commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, Field

from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.base.device import DeviceName
from vec2uage.base.errors import UserError
from vec2uage.config.validate import (
    check_group,
    check_keys,
    check_settings,
    check_value,
    refuse,
    target_of,
    to_container,
)
from vec2uage.data.prepared import NoSplit
from vec2uage.data.splits import AgeRange
from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.prepare_settings import MOST_PIXELS, Count, PrepareSettings
from vec2uage.faces.prepare_settings import from_config as prepare_from_config


def _apart(bands: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if any(before[1] >= after[0] for before, after in pairwise(bands)):
        raise ValueError("bands must rise and not overlap")
    return bands


@dataclass(frozen=True)
class AugmentSettings:
    """Everything that `vec2uage.augment` does."""

    path: str
    task: Literal["analyse", "generate"]
    augmentation: ImageAugmentation
    detector: Detector
    crop: Crop
    embedder: Embedder
    draws: int
    age_bands: tuple[tuple[int, int], ...]
    store: str
    max_pixels: int
    workers: int | Literal["auto"]
    device: str
    overwrite: bool


_VALUES: dict[str, Any] = {
    "path": Annotated[str, Field(min_length=1)],
    "task": Literal["analyse", "generate"],
    "draws": Count,
    "age_bands": Annotated[tuple[AgeRange, ...], AfterValidator(_apart)],
    "store": str,
    "max_pixels": Annotated[int, Field(ge=1, le=MOST_PIXELS)],
    "workers": Count | Literal["auto"],
    "device": DeviceName,
    "overwrite": bool,
}
NO_AUGMENTATION = "vec2uage.data.balance.NoAugmentation"
OF_PHOTOGRAPHS = ("detector", "crop", "embedder", "max_pixels")
"""Options that a prepared set answers for itself."""


def from_config(cfg: DictConfig) -> AugmentSettings:
    """Check a composed configuration and turn it into settings.

    Raises UserError naming every wrong key, its value and what is allowed, before any work starts.
    """
    plain = to_container(cfg)
    known = {*_VALUES, "augmentation", "detector", "crop", "embedder"}
    check_keys(plain, known)
    problems: list[str] = []
    values = {key: check_value(kind, plain[key], key, problems) for key, kind in _VALUES.items()}
    values |= {
        "augmentation": check_augmentation(plain["augmentation"], problems),
        "detector": check_group(plain["detector"], "detector", Detector, problems),
        "crop": check_settings(Crop, plain["crop"], "crop", problems),
        "embedder": check_group(plain["embedder"], "embedder", Embedder, problems),
    }
    refuse(problems)
    return AugmentSettings(**values)


def check_augmentation(values: Any, problems: list[str]) -> Any:
    """Build the augmentation that makes faces; other ones of the group are of no use outside training."""
    target = target_of(values, "augmentation", problems)
    if target is None:
        return None
    if not (isinstance(target, type) and issubclass(target, ImageAugmentation)):
        problems.append(
            f"augmentation._target_ = {values['_target_']}: makes no faces, and only training uses it; take one that "
            "does, such as augmentation=published"
        )
        return None
    return check_settings(target, values, "augmentation", problems)


def prepare_settings(cfg: DictConfig) -> tuple[PrepareSettings, ImageAugmentation | None]:
    """Check the composed configuration of `vec2uage.prepare`; return what it says of augmentation apart from the rest.

    Raises UserError naming every wrong key of augmentation, and else every other one, before any work starts.
    """
    values = to_container(cfg).get("augmentation")
    problems: list[str] = [] if values is not None else ["augmentation is missing"]
    is_none = isinstance(values, Mapping) and values.get("_target_") == NO_AUGMENTATION
    augmentation = None if is_none else check_augmentation(values, problems)
    refuse(problems)
    settings = prepare_from_config(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "augmentation"]))
    if augmentation is not None and isinstance(settings.split, NoSplit):
        raise UserError("split=none leaves no training part to augment: take split=paper, or augmentation=none")
    return settings, augmentation

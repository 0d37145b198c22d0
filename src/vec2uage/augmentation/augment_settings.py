"""The settings of `vec2uage.augment`, and of `vec2uage.prepare` with what it says of augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.base.device import DeviceName
from vec2uage.base.errors import UserError
from vec2uage.config.settings import CheckedBy, Choice, PositiveInt
from vec2uage.config.validate import check_settings, target_of
from vec2uage.data.parts import AgeRange
from vec2uage.data.splits import NoSplit
from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.prepare_settings import MaxPixels, PrepareSettings

NO_AUGMENTATION = "vec2uage.data.balance.NoAugmentation"
OF_PHOTOGRAPHS = ("detector", "crop", "embedder", "max_pixels")
"""Options that a prepared set answers for itself."""


def _apart(bands: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if any(before[1] >= after[0] for before, after in pairwise(bands)):
        raise ValueError("bands must rise and not overlap")
    return bands


def check_augmentation(values: Any, key: str, problems: list[str]) -> Any:
    """Build the augmentation that makes faces; other ones of the group are of no use outside training."""
    target = target_of(values, key, problems)
    if target is None:
        return None
    if not (isinstance(target, type) and issubclass(target, ImageAugmentation)):
        problems.append(
            f"{key}._target_ = {values['_target_']}: makes no faces, and only training uses it; take one that "
            "does, such as augmentation=published"
        )
        return None
    return check_settings(target, values, key, problems)


def check_augmentation_or_none(values: Any, key: str, problems: list[str]) -> Any:
    """Build the augmentation that makes faces; None for `augmentation=none`."""
    is_none = isinstance(values, Mapping) and values.get("_target_") == NO_AUGMENTATION
    return None if is_none else check_augmentation(values, key, problems)


@dataclass(frozen=True)
class AugmentSettings:
    """Everything that `vec2uage.augment` does."""

    path: Annotated[str, Field(min_length=1)]
    task: Literal["analyse", "generate"]
    augmentation: Annotated[ImageAugmentation, CheckedBy(check_augmentation)]
    detector: Choice[Detector]
    crop: Crop
    embedder: Choice[Embedder]
    draws: PositiveInt
    age_bands: Annotated[tuple[AgeRange, ...], AfterValidator(_apart)]
    store: str
    max_pixels: MaxPixels
    workers: PositiveInt | Literal["auto"]
    device: DeviceName
    overwrite: bool
    trust_code: bool


@dataclass(frozen=True)
class PrepareAndAugmentSettings(PrepareSettings):
    """Everything that `vec2uage.prepare` does; UserError where there is nothing to augment."""

    augmentation: Annotated[ImageAugmentation | None, CheckedBy(check_augmentation_or_none)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.augmentation is not None and isinstance(self.split, NoSplit):
            raise UserError("split=none leaves no training part to augment: take split=paper, or augmentation=none")

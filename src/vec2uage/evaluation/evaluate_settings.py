"""The settings of one evaluation, read from a composed configuration."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from omegaconf import DictConfig
from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.config.settings import settings
from vec2uage.config.validate import (
    check_group,
    check_keys,
    check_settings,
    check_value,
    refuse,
    to_container,
)
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation
from vec2uage.data.splits import Part

Rows = Literal["all", Part]


@settings
class Foreign:
    """What a checkpoint of another program does not say about the vectors of its network."""

    normalization: Literal["l2", "none"]
    encoder: str | None
    save_as: Annotated[str, Field(pattern=r"\.safetensors$")] | None


@dataclass(frozen=True)
class Evaluation:
    """Which model is evaluated on which rows, and what is measured."""

    checkpoint: str
    part: Rows
    cs: tuple[float, ...]
    encoder_mismatch: Literal["refuse", "allow"]
    tta: int
    store: str
    workers: int | Literal["auto"]
    device: str
    foreign: Foreign
    dataset: Dataset
    augmentation: Augmentation


# The options with a plain value, and what each may be.
_VALUES: dict[str, Any] = {
    "checkpoint": Annotated[str, Field(min_length=1)],
    "part": Rows,
    "cs": tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...],
    "encoder_mismatch": Literal["refuse", "allow"],
    "tta": Annotated[int, Field(ge=0)],
    "store": str,
    "workers": Annotated[int, Field(ge=1)] | Literal["auto"],
    "device": DeviceName,
}


def from_config(cfg: DictConfig) -> Evaluation:
    """Check a composed configuration and turn it into settings.

    Raises UserError naming every wrong key, its value and what is allowed, before any work starts.
    """
    plain = to_container(cfg)
    known = {*_VALUES, "foreign", "dataset", "augmentation"}
    check_keys(plain, known)
    problems: list[str] = []
    values = {key: check_value(kind, plain[key], key, problems) for key, kind in _VALUES.items()}
    foreign = check_settings(Foreign, plain["foreign"], "foreign", problems)
    dataset = check_group(plain["dataset"], "dataset", Dataset, problems)
    augmentation = check_group(plain["augmentation"], "augmentation", Augmentation, problems)
    refuse(problems)
    return Evaluation(**values, foreign=foreign, dataset=dataset, augmentation=augmentation)

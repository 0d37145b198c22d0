"""The settings of one report, read from a composed configuration."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from omegaconf import DictConfig
from pydantic import Field

from vec2uage.config.validate import check_keys, check_value, refuse, to_container

Format = Literal["png", "svg", "pdf"]


@dataclass(frozen=True)
class ReportSettings:
    """Which sweeps are reported on, and how."""

    sweep: tuple[str, ...]
    formats: tuple[Format, ...]
    resamples: int
    seed: int
    tensorboard: bool


_VALUES: dict[str, Any] = {
    "sweep": Annotated[tuple[str, ...], Field(min_length=1)],
    "formats": tuple[Format, ...],
    "resamples": Annotated[int, Field(ge=100)],
    "seed": Annotated[int, Field(ge=0)],
    "tensorboard": bool,
}


def from_config(cfg: DictConfig) -> ReportSettings:
    """Check a composed configuration and turn it into settings.

    Raises UserError naming every wrong key, its value and what is allowed, before any work starts.
    """
    plain = to_container(cfg)
    check_keys(plain, _VALUES)
    problems: list[str] = []
    if isinstance(plain["sweep"], str):
        plain["sweep"] = [plain["sweep"]]
    values = {key: check_value(kind, plain[key], key, problems) for key, kind in _VALUES.items()}
    refuse(problems)
    return ReportSettings(**values)

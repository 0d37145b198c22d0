"""The settings of one run, read from a composed configuration, and what makes two runs fit into one stack."""

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import torch
from omegaconf import DictConfig
from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.base.seeds import derive
from vec2uage.config.component import Component
from vec2uage.config.settings import EXECUTION_OPTIONS, settings
from vec2uage.config.validate import (
    check_call,
    check_group,
    check_keys,
    check_settings,
    check_value,
    refuse,
    target_of,
    to_container,
)
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation
from vec2uage.runs.index import split_override
from vec2uage.training.early_stopping import NoEarlyStopping
from vec2uage.training.losses import Loss
from vec2uage.training.normalization import Kind
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors
from vec2uage.training.optimizers.torch_optim import TorchOptim
from vec2uage.training.precision import Precision
from vec2uage.training.range_test import NoRangeTest
from vec2uage.training.schedules import Schedule

Count = Annotated[int, Field(ge=1)]


@settings
class Trainer:
    """How long, in what pieces and where to train; `threads`, `stack_size` and `checkpoint_every` change no number."""

    max_epochs: Count
    batch_size: Count
    mean_over: Literal["rows", "batches"]
    device: DeviceName
    precision: Precision
    threads: Count | Literal["auto"]
    stack_size: Count | Literal["auto"]
    checkpoint_every: Annotated[int, Field(ge=0)]
    overfit: bool
    profile: bool


@dataclass(frozen=True)
class RunSettings:
    """Everything that determines a run; hashable, free of tensors and of `DictConfig`."""

    seed: int
    dataset: Dataset
    augmentation: Augmentation
    normalization: Kind
    model: Component
    optimizer: StackedOptimizer
    loss: Loss
    lr_schedule: Schedule
    lr_finder: NoRangeTest
    early_stopping: NoEarlyStopping
    trainer: Trainer
    choices: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    config_hash: str = ""

    @property
    def split_seed(self) -> int:
        return self.dataset.split_seed(self.seed)

    def choice(self, group: str) -> str:
        """Return the name of the YAML file chosen for a config group, as tables and TensorBoard show it."""
        return dict(self.choices).get(group, group)

    def stack_key(self) -> Hashable:
        """Return these settings without all that may differ between the runs of one stack."""
        own = ("seed", "choices", "overrides", "swept", "config_hash")
        common: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in own}
        for name in ("optimizer", "lr_schedule", "early_stopping"):
            common[name] = _without_per_run(common[name])
        common["variant"] = self.optimizer.variant()
        common["split_seed"] = self.split_seed
        return tuple(common.items())


def per_run_options(parts: Sequence[Any]) -> Tensors:
    """Stack the options of K settings objects that `per_run` names into `[K] float64` tensors."""
    return {
        name: torch.tensor([float(getattr(p, name)) for p in parts], dtype=torch.float64) for name in parts[0].per_run
    }


def from_config(
    cfg: DictConfig, choices: dict[str, str], overrides: Sequence[str], fixed: Sequence[str] | None = None
) -> RunSettings:
    """Check a composed configuration and turn it into settings.

    `choices` are the files chosen for the groups, `overrides` what was set, `fixed` the keys among them that are the
    same for all jobs of a sweep (None: no sweep).

    Raises UserError naming every wrong key, its value and what is allowed, before any work starts.
    """
    plain = to_container(cfg)
    known = {"seed", "seeds", "normalization", "trainer", "model", "optimizer", "resume", "plan", *_GROUPS}
    check_keys(plain, known)
    problems: list[str] = []
    shared = check_value(Literal["paired", "unpaired"], plain["seeds"], "seeds", problems)
    parts: dict[str, Any] = {
        "seed": check_value(Annotated[int, Field(ge=0)], plain["seed"], "seed", problems),
        "normalization": check_value(Kind, plain["normalization"], "normalization", problems),
        "trainer": check_settings(Trainer, plain["trainer"], "trainer", problems),
        "model": check_model(plain["model"], problems),
        "optimizer": _optimizer(plain["optimizer"], problems),
    }
    for group, base in _GROUPS.items():
        parts[group] = check_group(plain[group], group, base, problems)
    refuse(problems)
    if shared == "unpaired":
        parts["seed"] = derive(parts["seed"], "unpaired", choices.get("optimizer", "")) % 2**31
    return RunSettings(
        **parts,
        choices=tuple(sorted(choices.items())),
        overrides=tuple(overrides),
        swept=() if fixed is None else tuple(key for key, _ in map(split_override, overrides) if key not in fixed),
        config_hash=_hash(plain),
    )


_GROUPS: dict[str, type] = {
    "dataset": Dataset,
    "augmentation": Augmentation,
    "loss": Loss,
    "lr_schedule": Schedule,
    "lr_finder": NoRangeTest,
    "early_stopping": NoEarlyStopping,
}
# What vec2uage itself passes to a user's class, so that a configuration cannot set it.
_GIVEN = {"model": {"in_features"}, "optimizer": {"params"}}


def check_model(values: Any, problems: list[str]) -> Component | None:
    """Return the network that the config group `model` describes, or None with lines in `problems`."""
    target = target_of(values, "model", problems)
    if target is None:
        return None
    if not (isinstance(target, type) and issubclass(target, torch.nn.Module)):
        problems.append(f"model._target_ = {values['_target_']}: must be a subclass of torch.nn.Module")
        return None
    return check_call(values["_target_"], values, "model", _GIVEN["model"], problems)


def _optimizer(values: Any, problems: list[str]) -> StackedOptimizer | None:
    target = target_of(values, "optimizer", problems)
    if target is None:
        return None
    if isinstance(target, type) and issubclass(target, torch.optim.LBFGS):
        problems.append("optimizer._target_ = torch.optim.LBFGS: it re-evaluates the loss within a step (closure)")
        return None
    if isinstance(target, type) and issubclass(target, torch.optim.Optimizer):
        component = check_call(values["_target_"], values, "optimizer", _GIVEN["optimizer"], problems)
        options = {name: value for name, value in component.options if name != "lr"}
        lr = check_value(Annotated[float, Field(gt=0)], values.get("lr"), "optimizer.lr", problems)
        foreign = Component(component.target, tuple(options.items()))
        return None if lr is None else TorchOptim(lr=lr, component=foreign)
    return check_group(values, "optimizer", StackedOptimizer, problems)


def _without_per_run(part: Any) -> Any:
    names = {f.name for f in fields(part)} & set(part.per_run)
    return type(part), tuple((f.name, getattr(part, f.name)) for f in fields(part) if f.name not in names)


def _hash(plain: dict[str, Any]) -> str:
    what = {key: value for key, value in plain.items() if key not in EXECUTION_OPTIONS}
    what["trainer"] = {
        key: value for key, value in plain["trainer"].items() if f"trainer.{key}" not in EXECUTION_OPTIONS
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]

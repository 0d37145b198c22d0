"""The settings of one run, read from a composed configuration."""

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import torch
from omegaconf import DictConfig
from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.base.seeds import derive
from vec2uage.config.component import Component, locate
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
from vec2uage.data.loading import Augmentation, check_split
from vec2uage.data.parts import PARTS
from vec2uage.data.splits import Split
from vec2uage.runs.index import split_override
from vec2uage.training.averaging.base import Averaging
from vec2uage.training.early_stopping import NoEarlyStopping
from vec2uage.training.heads.base import Head
from vec2uage.training.losses import Loss
from vec2uage.training.monitor import Monitor
from vec2uage.training.normalization import Kind
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors
from vec2uage.training.optimizers.torch_optim import TorchOptim
from vec2uage.training.precision import Precision
from vec2uage.training.range_test import NoRangeTest, RangeTest
from vec2uage.training.schedules import Schedule

Count = Annotated[int, Field(ge=1)]


@settings
class Trainer:
    """How long, in what pieces and where to train.

    `threads`, `stack_size`, `calibrate` and `checkpoint_every` change no number.
    """

    max_epochs: Count
    batch_size: Count
    mean_over: Literal["rows", "batches"]
    monitor: Monitor
    device: DeviceName
    precision: Precision
    threads: Count | Literal["auto"]
    stack_size: Count | Literal["auto"]
    calibrate: bool
    checkpoint_every: Annotated[int, Field(ge=0)]
    overfit: bool
    profile: bool

    @property
    def scored_batch(self) -> int | None:
        """The rows of a batch where scores are means over batches, None where they are means over rows."""
        return self.batch_size if self.mean_over == "batches" else None


@dataclass(frozen=True)
class RunSettings:
    """Everything that determines a run; hashable, free of tensors and of `DictConfig`."""

    seed: int
    dataset: Dataset
    split: Split
    augmentation: Augmentation
    normalization: Kind
    model: Component
    head: Head
    optimizer: StackedOptimizer
    averaging: Averaging
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
        return self.split.seed_for(self.seed)

    def choice(self, group: str) -> str:
        """Return the name of the YAML file chosen for a config group, as tables and TensorBoard show it."""
        return dict(self.choices).get(group, group)

    @property
    def is_network(self) -> bool:
        """Whether the model is a network, which the groups of `NETWORK_ONLY` are about."""
        return is_network(locate(self.model.target))

    def identity(self) -> Hashable:
        """Return all that makes the run what it is, without what is only told of it and what its model has no use for.

        A range test finds the learning rate, whatever that of the optimiser.
        """
        told = ("choices", "overrides", "swept", "config_hash", *(() if self.is_network else NETWORK_ONLY))
        made = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in told}
        if self.is_network and isinstance(self.lr_finder, RangeTest):
            options = [(f.name, getattr(self.optimizer, f.name)) for f in fields(self.optimizer) if f.name != "lr"]
            made["optimizer"] = (type(self.optimizer), *options)
        return tuple(made.items())


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
    known = {
        "seed",
        "seeds",
        "normalization",
        "trainer",
        "model",
        "optimizer",
        "loss",
        "head",
        "resume",
        "plan",
        *_GROUPS,
    }
    check_keys(plain, known)
    problems: list[str] = []
    shared = check_value(Literal["paired", "unpaired"], plain["seeds"], "seeds", problems)
    parts: dict[str, Any] = {
        "seed": check_value(Annotated[int, Field(ge=0)], plain["seed"], "seed", problems),
        "normalization": check_value(Kind, plain["normalization"], "normalization", problems),
        "trainer": check_settings(Trainer, plain["trainer"], "trainer", problems),
        "model": check_model(plain["model"], problems),
        "optimizer": _optimizer(plain["optimizer"], problems),
        "head": _head(plain["head"], plain["loss"], problems),
    }
    for group, base in _GROUPS.items():
        parts[group] = check_group(plain[group], group, base, problems)
    if parts["model"] is not None:
        problems += _without_effect(parts["model"], plain["head"], overrides)
    refuse(problems)
    check_split(parts["split"], parts["dataset"], PARTS)
    if shared == "unpaired":
        parts["seed"] = derive(parts["seed"], "unpaired", choices.get("optimizer", "")) % 2**31
    return RunSettings(
        **parts,
        choices=tuple(sorted(choices.items())),
        overrides=tuple(overrides),
        swept=() if fixed is None else tuple(key for key, _ in map(split_override, overrides) if key not in fixed),
        config_hash=_hash(plain, parts["model"]),
    )


_GROUPS: dict[str, type] = {
    "dataset": Dataset,
    "split": Split,
    "augmentation": Augmentation,
    "averaging": Averaging,
    "lr_schedule": Schedule,
    "lr_finder": NoRangeTest,
    "early_stopping": NoEarlyStopping,
}
# What vec2uage itself passes to a user's class, so that a configuration cannot set it.
_GIVEN = {"model": {"in_features", "out_features"}, "optimizer": {"params"}}
NETWORK_ONLY = ("head", "loss", "optimizer", "averaging", "lr_schedule", "lr_finder", "early_stopping")
"""Groups that say how a network is trained: scikit-learn's models have no use for them."""


def is_network(target: Any) -> bool:
    """Tell whether a model's class is a network."""
    return isinstance(target, type) and issubclass(target, torch.nn.Module)


def is_regressor(target: Any) -> bool:
    """Tell whether a model's class is a regressor of scikit-learn, or one made to its rules."""
    if not (isinstance(target, type) and hasattr(target, "fit") and hasattr(target, "predict")):
        return False
    from sklearn.base import BaseEstimator, RegressorMixin

    return issubclass(target, BaseEstimator) and issubclass(target, RegressorMixin)


def check_model(values: Any, problems: list[str]) -> Component | None:
    """Return the model that the config group `model` describes, or None with lines in `problems`."""
    target = target_of(values, "model", problems)
    if target is None:
        return None
    if is_network(target):
        return check_call(values["_target_"], values, "model", _GIVEN["model"], problems)
    if not is_regressor(target):
        problems.append(
            f"model._target_ = {values['_target_']}: must be a subclass of torch.nn.Module, or a regressor of "
            "scikit-learn"
        )
        return None
    before = len(problems)
    component = check_call(values["_target_"], values, "model", set(), problems)
    if len(problems) == before:
        problems += _refused_by_sklearn(component)
    return component


def _refused_by_sklearn(component: Component) -> list[str]:
    """Return what scikit-learn has against the options of a regressor, which it would tell only when that is fitted."""
    from sklearn.utils._param_validation import InvalidParameterError

    estimator = component.build()
    if not hasattr(estimator, "_parameter_constraints"):  # as a class of a user's own
        return []
    try:
        estimator._validate_params()
    except InvalidParameterError as error:
        return [f"model: {str(error).splitlines()[0]}"]
    return []


def _head(values: Any, loss: Any, problems: list[str]) -> Head | None:
    """Build the head; one that has a loss takes that of the group `loss`, under whose name its mistakes are told."""
    if not isinstance(values, Mapping) or "loss" not in values:
        return check_group(values, "head", Head, problems)
    built = check_group(loss, "loss", Loss, problems)
    return None if built is None else check_group({**values, "loss": built}, "head", Head, problems)


def _without_effect(model: Component, head: Any, overrides: Sequence[str]) -> list[str]:
    """Say which options were set although the model or the head has no use for them."""
    groups = [key.partition(".")[0] for key, _ in map(split_override, overrides)]
    idle: tuple[str, ...] = ()
    if not is_network(locate(model.target)):
        idle, what = NETWORK_ONLY, f"{model.target} is no network"
    elif "loss" not in head:
        idle, what = ("loss",), f"{head.get('_target_')} has a loss of its own"
    return [f"{group}: {what}, so this group has no effect: leave it out" for group in idle if group in groups]


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


def _hash(plain: dict[str, Any], model: Component) -> str:
    idle = () if is_network(locate(model.target)) else NETWORK_ONLY
    what = {key: value for key, value in plain.items() if key not in (*EXECUTION_OPTIONS, *idle)}
    what["trainer"] = {
        key: value for key, value in plain["trainer"].items() if f"trainer.{key}" not in EXECUTION_OPTIONS
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]

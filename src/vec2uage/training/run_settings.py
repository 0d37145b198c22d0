"""The settings of one run, read from a composed configuration."""

import hashlib
import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from omegaconf import DictConfig
from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.base.errors import UserError
from vec2uage.base.seeds import derive
from vec2uage.config.component import Component, locate
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.config.settings import EXECUTION_OPTIONS, CheckedBy, Choice, PositiveInt, settings
from vec2uage.config.validate import check_options, options_of, refuse, to_container
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation, check_split
from vec2uage.data.parts import PARTS, AgeRange
from vec2uage.data.splits import Split
from vec2uage.runs.variants import split_override
from vec2uage.training.averaging.base import Averaging
from vec2uage.training.config_groups import (
    check_dropout,
    check_head,
    check_model,
    check_optimizer,
    check_weights,
    execution_options,
    is_network,
    is_stacking,
    unused_groups,
)
from vec2uage.training.early_stopping import NoEarlyStopping
from vec2uage.training.heads.base import Head
from vec2uage.training.monitor import Monitor, needs_spread
from vec2uage.training.normalization import NormalizationKind
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors
from vec2uage.training.precision import Precision
from vec2uage.training.range_test import NoRangeTest, RangeTest
from vec2uage.training.regressors.base import DistributionRegressor
from vec2uage.training.regularization import Regularization
from vec2uage.training.schedules import Schedule


@settings
class Trainer:
    """How long, in what pieces and where to train.

    `threads`, `stack_size`, `calibrate` and `checkpoint_every` change no number.
    """

    max_epochs: PositiveInt
    batch_size: PositiveInt
    mean_over: Literal["rows", "batches"]
    monitor: Monitor
    device: DeviceName
    precision: Precision
    threads: PositiveInt | Literal["auto"]
    stack_size: PositiveInt | Literal["auto"]
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
    """Everything that determines a run, and how it was asked for; hashable, free of tensors and of `DictConfig`.

    The fields without a default are options of conf/train.yaml.
    """

    seed: Annotated[int, Field(ge=0)]
    dataset: Choice[Dataset]
    split: Choice[Split]
    augmentation: Choice[Augmentation]
    normalization: NormalizationKind
    model: Annotated[Component, CheckedBy(check_model)]
    head: Annotated[Head, CheckedBy(check_head)]
    optimizer: Annotated[StackedOptimizer, CheckedBy(check_optimizer)]
    averaging: Choice[Averaging]
    lr_schedule: Choice[Schedule]
    lr_finder: Choice[NoRangeTest]
    early_stopping: Choice[NoEarlyStopping]
    regularization: Regularization
    trainer: Trainer
    choices: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()
    config_hash: str = ""

    @property
    def split_seed(self) -> int:
        """The seed that divides the rows."""
        return self.split.seed_for(self.seed)

    @property
    def is_network(self) -> bool:
        """Whether the model is a network, and so is trained in epochs."""
        return is_network(locate(self.model.target))

    @property
    def has_spread(self) -> bool:
        """Whether predictions are more than points; of a stack its members decide, and it counts as such."""
        target = locate(self.model.target)
        if is_network(target):
            return _has_spread(self.head)
        return is_stacking(target) or (isinstance(target, type) and issubclass(target, DistributionRegressor))

    @property
    def unused_groups(self) -> tuple[str, ...]:
        """The options that the model has no use for."""
        return tuple(unused_groups(self.model))

    @property
    def used_choices(self) -> dict[str, str]:
        """The names of the YAML files chosen, by config group, as far as the run has a use for the group."""
        return {
            group: name
            for group, name in self.choices
            if name != "None" and not group.startswith("hydra/") and group not in self.unused_groups
        }

    def choice(self, group: str) -> str:
        """Return the name of the YAML file chosen for a config group, as tables and TensorBoard show it."""
        return dict(self.choices).get(group, group)

    def options(self) -> dict[str, Any]:
        """Return by name what determines the run, without how it was asked for."""
        return {name: getattr(self, name) for name in options_of(RunSettings)}

    def identity(self) -> Hashable:
        """Return what tells the run from all others: two runs of one identity are the same run."""
        unused = self.unused_groups
        options = {name: option for name, option in self.options().items() if name not in unused}
        if self.is_network and isinstance(self.lr_finder, RangeTest):
            options["optimizer"] = without_options(self.optimizer, ("lr",))  # the test finds it, whatever it is here
        return tuple(options.items())


def without_options(part: Any, names: Collection[str]) -> Hashable:
    """Return what a settings object is, but for these of its options."""
    return type(part), *((f.name, getattr(part, f.name)) for f in fields(part) if f.name not in names)


def per_run_options(parts: Sequence[Any]) -> Tensors:
    """Stack the options of K settings objects that `per_run` names into `[K] float64` tensors."""
    return {
        name: torch.tensor([float(getattr(p, name)) for p in parts], dtype=torch.float64) for name in parts[0].per_run
    }


# Options of conf/train.yaml beside those of `RunSettings`.
_OTHER_OPTIONS: dict[str, Any] = {
    "seeds": Literal["paired", "unpaired"],
    "few_rows": bool,  # decides what other options are, in conf/
    "loss": Any,  # is checked where the head has it
    "resume": Any,  # these two are of the command: `sweep.options`
    "plan": Any,
}


def from_config(
    cfg: DictConfig, choices: dict[str, str], overrides: Sequence[str], fixed: Sequence[str] | None = None
) -> RunSettings:
    """Check a composed configuration and turn it into settings.

    `choices` are the files chosen for the groups, `overrides` what was set, `fixed` the keys among them that are the
    same for all jobs of a sweep (None: no sweep).

    Raises UserError naming every wrong key, its value and what is allowed, before any work starts.
    """
    problems: list[str] = []
    plain = to_container(cfg)
    values = check_options(options_of(RunSettings) | _OTHER_OPTIONS, plain, problems)
    if values.get("model") is not None:
        problems += _without_effect(values["model"], plain.get("head"), overrides, in_sweep=fixed is not None)
    problems += _other_averaging(choices)
    refuse(problems)
    check_split(values["split"], values["dataset"], PARTS)
    options = {name: values[name] for name in options_of(RunSettings)}
    if options["head"].needs_ages:
        options["head"] = options["head"].for_ages(_label_range(values["split"], values["dataset"]))
    if values["seeds"] == "unpaired":
        options["seed"] = derive(options["seed"], "unpaired", choices.get("optimizer", "")) % 2**31
    refuse(check_weights(options["model"], options["augmentation"]))
    if is_network(locate(options["model"].target)):
        refuse(_unmeasured(options) + check_dropout(options["model"], options["regularization"]))
    return RunSettings(
        **options,
        choices=tuple(sorted(choices.items())),
        overrides=tuple(overrides),
        swept=() if fixed is None else tuple(key for key, _ in map(split_override, overrides) if key not in fixed),
        config_hash=_hash(plain, options["model"]),
    )


def _label_range(split: Split, dataset: Dataset) -> AgeRange:
    """Return the whole years from the lowest to the highest label that a run can meet."""
    age_range = split.label_range or dataset.age_range()
    if age_range is None:
        raise UserError("head.ages = null: the split does not say which ages there are: set it, as head.ages=[1,18]")
    first, last = age_range
    return first, last if dataset.label == "whole" else last + 1  # someone of 18.7 years has the whole age 18


def _unmeasured(options: Mapping[str, Any]) -> list[str]:
    """Say which monitored scores the head's predictions do not have."""
    monitors = {group: options[group].monitor for group in ("trainer", "early_stopping", "lr_schedule")}
    of_spread = {group: monitor for group, monitor in monitors.items() if needs_spread(monitor)}
    if not of_spread or _has_spread(options["head"]):
        return []
    return [
        f"{group}.monitor = {monitor}: this head predicts points, which have no such score: take validation/crps"
        for group, monitor in of_spread.items()
    ]


def _has_spread(head: Head) -> bool:
    return head.prediction(np.zeros((1, head.outputs), dtype=np.float32)).has_spread


def _other_averaging(choices: Mapping[str, str]) -> list[str]:
    """Refuse another averaging than the one that an optimizer is named after: tables call the run by that name."""
    optimizer = choices.get("optimizer", "")
    averaging = choices.get("averaging", optimizer)
    if averaging == optimizer or not Path(conf_dir(), "averaging", f"{optimizer}.yaml").is_file():
        return []
    return [
        f"averaging = {averaging}: optimizer={optimizer} is named after its averaging={optimizer}: "
        "take optimizer=sgd, or another"
    ]


def _without_effect(model: Component, head: Any, overrides: Sequence[str], in_sweep: bool) -> list[str]:
    """Say which options were set although the model or the head has no use for them."""
    leave_out = "leave it out"
    if in_sweep:
        leave_out += ", or train these jobs by a command of their own with the same hydra.sweep.dir, as one sweep"
    unused = unused_groups(model)
    if not unused and isinstance(head, Mapping) and "loss" not in head:
        unused = {"loss": f"{head.get('_target_')} has a loss of its own"}
    groups = {key.partition(".")[0] for key, _ in map(split_override, overrides)}
    return [f"{group}: {why}, so it has no effect: {leave_out}" for group, why in unused.items() if group in groups]


def _hash(plain: Mapping[str, Any], model: Component) -> str:
    """Return a hash of all options but those that change no number of a run of this model."""
    idle = (*EXECUTION_OPTIONS, "few_rows", *unused_groups(model))
    options = {key: value for key, value in plain.items() if key not in idle}
    options["trainer"] = {key: value for key, value in plain["trainer"].items() if f"trainer.{key}" not in idle}
    own = execution_options(model)
    options["model"] = {key: value for key, value in plain["model"].items() if key not in own}
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()[:16]

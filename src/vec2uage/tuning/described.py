"""What a tuning leaves behind: the model, the encoder that it was trained with, and a card that tells of that one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.runs.result import MemberOfStack
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.completed_run import CompletedRun
from vec2uage.training.learners.base import Observer
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.tuning import card
from vec2uage.tuning.encoder_file import TunedEncoder
from vec2uage.tuning.options import TuningOptions

_PLACES = ("start", "crops", "path", "cache")  # where something lies is nobody's business who is given the encoder
_GROUPS = ("head", "loss", "augmentation", "optimizer", "averaging", "lr_schedule", "early_stopping")
_STEPS = ("optimizer", "averaging")  # of whose options the card gives the numbers, such as weight decay
_START = "start"  # in a checkpoint: the SHA-256 of the model that its run begins from
_TOLD = tuple(f"{part}/{metric}" for part in ("validation", "test") for metric in ("mae", "crps"))


@dataclass(frozen=True)
class TunedModel(NetworkModel):
    """A regressor for the vectors of an encoder that was tuned with it, which is saved beside it with its card."""

    tuned: TunedEncoder | None = None

    def save(self, path: Path, calibration: Mapping[str, object] | None = None) -> None:
        NetworkModel.save(self, path, calibration)
        if self.tuned is not None:
            self.tuned.save(path.with_name("encoder.safetensors"))
            write_text(path.with_name("encoder.md"), card.text(self.tuned))


@dataclass(frozen=True)
class Described:
    """An observer that adds what a run began from to its checkpoints, and to its encoder what is to be told of it."""

    observer: Observer
    about: Callable[[TunedEncoder, Outcome], Mapping[str, Any]]
    start: CompletedRun

    def interrupted(self) -> bool:
        return self.observer.interrupted()

    def epoch(self, run: int, epoch: Epoch) -> None:
        self.observer.epoch(run, epoch)

    def checkpoint(self, run: int, checkpoint: Checkpoint) -> None:
        checkpoint.tensors[_START] = _as_tensor(self.start.sha256)
        self.observer.checkpoint(run, checkpoint)

    def end(self, run: int, outcome: Outcome) -> None:
        model = outcome.model
        if isinstance(model, TunedModel) and model.tuned is not None:
            tuned = replace(model.tuned, about=model.tuned.about | dict(self.about(model.tuned, outcome)))
            outcome.model = replace(model, tuned=tuned)
        outcome.members = [MemberOfStack(path=str(self.start.path), sha256=self.start.sha256, weight=1.0)]
        self.observer.end(run, outcome)


def check_start(checkpoints: Sequence[Checkpoint], start: CompletedRun) -> None:
    """Raise UserError unless checkpoints are of runs that began from this model: it normalises, and is pulled to."""
    for checkpoint in checkpoints:
        began = checkpoint.tensors.get(_START)
        if began is None or not torch.equal(began, _as_tensor(start.sha256)):
            raise UserError(
                f"{start.path} (model.start) is not the model that this run began from before it was stopped: "
                "resume=false trains anew"
            )


def _as_tensor(sha256: str) -> Tensor:
    return torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8)


def how_trained(run: RunSettings, options: TuningOptions, outcome: Outcome) -> dict[str, Any]:
    """Return as JSON how the blocks of an encoder have learnt; `lr` is the rate that was taken, or found by a test."""
    steps = {f"{group}.{name}": getattr(getattr(run, group), name) for group in _STEPS for name in _per_run(run, group)}
    return {
        "status": outcome.status,
        "seed": run.seed,
        "split_seed": run.split_seed,
        "lr": outcome.lr,
        "batch_size": run.trainer.batch_size,
        "precision": run.trainer.precision,
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "choices": {group: run.used_choices[group] for group in _GROUPS if group in run.used_choices},
        "model": {f.name: getattr(options, f.name) for f in fields(options) if f.name not in _PLACES},
        "steps": steps,
        "regularization": {name: getattr(run.regularization, name) for name in run.regularization.in_use},
    }


def _per_run(run: RunSettings, group: str) -> list[str]:
    """Return the numbers among the options of a group, but for the first learning rate."""
    return [name for name in getattr(run, group).per_run if (group, name) != ("optimizer", "lr")]


def judged(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the errors (years) on faces that are held out."""
    return {name: scores[name] for name in _TOLD if name in scores}

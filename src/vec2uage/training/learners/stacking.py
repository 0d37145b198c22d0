"""Combines completed runs: their predictions for the validation part say how much each of them counts."""

import time
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float32

from vec2uage.base.errors import UserError
from vec2uage.data.loading import load_parts
from vec2uage.data.vectorset import needed_ages
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.metrics import scores
from vec2uage.predictions.weighted import combine, cross_fitted, mix_weighted, widened
from vec2uage.runs.result import MemberOfStack
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.inputs import weights_of
from vec2uage.training.learners.base import Observer
from vec2uage.training.outcome import Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack_check import StackCheck
from vec2uage.training.stacking.members import CompletedRun, completed_runs, grouped, open_members
from vec2uage.training.stacking.model import Member, ModelFile, StackingModel
from vec2uage.training.stacking.options import Stacking

_ROW_BYTES = 2 * 8 * 500  # a face's distribution function: ages and levels at up to so many knots


class StackingLearner:
    """Makes a `StackingModel` of the runs that `model.members` names; one run at a time."""

    def stack_key(self, run: RunSettings) -> Hashable:
        apart = ("seed", *run.unused_groups)
        return *((name, option) for name, option in run.options().items() if name not in apart), run.split_seed

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        return StackCheck(False, reason="models are combined one after the other")

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        files = sum(member.path.stat().st_size for member in completed_runs(run))
        return 3 * files + _ROW_BYTES * max(len(part) for part in data.parts.values())

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        return 0

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        return ""

    def made_of(self, run: RunSettings) -> list[str]:
        return sorted(member.sha256 for member in completed_runs(run))

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        for position, run in enumerate(runs):
            if observer.interrupted():
                observer.end(position, Outcome(status="interrupted"))
                continue
            observer.end(position, _combined(run, data))


def _combined(run: RunSettings, data: TrainingData) -> Outcome:
    """Combine the members of one stack; they see vectors as they are, as each has its own normalisation."""
    began = time.perf_counter()
    if run.trainer.overfit:
        raise UserError("trainer.overfit = true: a stack is not trained in batches: leave it out")
    stacking: Stacking = run.model.build()
    parts = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)
    ages = {name: needed_ages(part, "training") for name, part in parts.items()}
    groups = grouped(open_members(run, parts))
    drawn = [Member(tuple(file for _, file in group), 1.0, None) for group in groups]
    own = [{name: _predicted(member, part.vectors) for name, part in parts.items()} for member in drawn]
    for predictions, group in zip(own, groups, strict=True):
        _check_numbers(predictions, group)
    if len(ages["validation"]) < 2:
        raise UserError("model=stack needs two validation faces or more: take a split that has them")
    of_validation = [predictions["validation"] for predictions in own]
    found = combine(of_validation, ages["validation"], stacking.weights == "equal")
    weights = found.weights
    counting = [place for place, weight in enumerate(weights) if weight > 0]
    members = [Member(drawn[place].files, float(weights[place]), found.spreads[place]) for place in counting]
    outcome = Outcome(status="completed", model=StackingModel(tuple(members), parts["train"].encoder))
    for name in parts:
        wide = [widened(own[place][name], found.spreads[place]) for place in counting]
        mixed = mix_weighted(wide, [member.weight for member in members])
        if name == "test":
            outcome.prediction = mixed
        if name == "validation":
            mixed = cross_fitted(of_validation, ages[name], stacking.weights == "equal")
        measured = scores(ages[name], mixed, run.trainer.scored_batch, weights=weights_of(data.parts[name]))
        outcome.scores |= {f"{name}/{metric}": score for metric, score in measured.items()}
    outcome.members = [
        MemberOfStack(path=str(member.path), sha256=member.sha256, weight=float(weight) / len(group))
        for weight, group in zip(weights, groups, strict=True)
        for member, _ in group
    ]
    outcome.seconds = time.perf_counter() - began
    return outcome


def _predicted(member: Member, vectors: Float32[np.ndarray, "N D"]) -> Prediction:
    """Return what a member says of N faces, of which it is asked once each: training repeats many."""
    _, first, again = np.unique(vectors, axis=0, return_index=True, return_inverse=True)
    if len(first) == len(vectors):
        return member.predict(vectors)
    return member.predict(vectors[first]).take(again.reshape(-1))


def _check_numbers(predictions: Mapping[str, Prediction], group: Sequence[tuple[CompletedRun, ModelFile]]) -> None:
    if not all(np.isfinite(prediction.median).all() for prediction in predictions.values()):
        raise UserError(
            f"{group[0][0].path} gives no number for some faces (model.members): its training diverged; leave it out"
        )

"""The trials of a batch from their jobs to their ends: trained together, compared at some epochs, and some ended."""

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vec2uage.base.formatting import counted
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.metrics_log import read_score
from vec2uage.runs.result import RunResult
from vec2uage.sweep.compose import ComposedJob
from vec2uage.sweep.resume import is_kept
from vec2uage.sweep.search.options import SearchOptions
from vec2uage.sweep.search.study import Ended, EndStatus, Study
from vec2uage.sweep.session import SweepSession
from vec2uage.training.monitor import needs_spread
from vec2uage.training.run_settings import RunSettings

log = logging.getLogger(__name__)

Overrides = tuple[str, ...]
Results = dict[Path, RunResult]  # by run folder


def train_trials(
    sweep: SweepSession, study: Study, options: SearchOptions, batch: Mapping[int, Sequence[Overrides]]
) -> dict[int, Ended]:
    """Train the runs of each trial, by its number, and return how each trial has ended.

    At each epoch of the pruner all of them pause, and those that are worse than others end there. How good a trial is
    at an epoch is read from metrics.csv up to there, whatever was trained since: a search that is taken up again
    decides as it did.
    """
    jobs = list(dict.fromkeys(job for own in batch.values() for job in own))
    if not jobs:
        return {}
    composed = dict(zip(jobs, sweep.compose(jobs), strict=True))
    trials = {number: _Trial([composed[job] for job in own]) for number, own in batch.items()}
    results: Results = {}
    for epoch in (*options.pruner.after, None):
        going = {number: trial for number, trial in trials.items() if trial.status is None}
        to_train = {item.job.folder: item for trial in going.values() for item in trial.unfinished(results, epoch)}
        if to_train:
            results |= zip(to_train, sweep.train(list(to_train.values()), epoch), strict=True)
        for trial in going.values():
            trial.look(results, epoch)
        if epoch is not None:
            _compare(trials, study, options, epoch)
        for trial in going.values():
            if trial.status not in (None, "completed"):  # what has paused of it needs not go on
                ended = sweep.prune(trial.jobs, trial.reason)
                results |= zip((item.job.folder for item in trial.jobs), ended, strict=True)
    return {number: trial.ended(results, options) for number, trial in trials.items()}


def unfit(runs: Sequence[RunSettings], options: SearchOptions) -> list[str]:
    """Say what keeps runs of a search from being judged by its objective, or from pausing where its pruner does."""
    problems = [problem for run in runs for problem in (*_unmeasured(run, options), *_cannot_pause(run, options))]
    epochs, name = options.pruner.after, options.pruner.name
    if not problems and epochs and all(run.trainer.max_epochs <= epochs[0] for run in runs):
        problems = [f"pruner={name}: no run goes on after epoch {epochs[0]}, the first of its epochs: set others"]
    return list(dict.fromkeys(problems))


def _unmeasured(run: RunSettings, options: SearchOptions) -> list[str]:
    """Say which objectives a run's predictions do not have."""
    if run.has_spread:
        return []
    what = f"head={run.choice('head')}" if run.is_network else f"model={run.choice('model')}"
    return [
        f"hydra.sweeper.objective = {name}: {what} predicts points, which have no such score: take validation/crps"
        for name in options.objective
        if needs_spread(name)
    ]


def _cannot_pause(run: RunSettings, options: SearchOptions) -> list[str]:
    """Say what keeps a run from pausing at the epochs of the pruner."""
    epochs, name, every = options.pruner.after, options.pruner.name, run.trainer.checkpoint_every
    if not epochs:
        return []
    if not run.is_network:
        return [f"pruner={name}: model={run.choice('model')} has no epochs at which it could end: take pruner=none"]
    if every == 0 or any(epoch % every for epoch in epochs):
        return [
            f"hydra.sweeper.pruner.epochs = {list(epochs)}: a run goes on from its checkpoint of these epochs, which "
            f"trainer.checkpoint_every={every} does not write: set it to 1"
        ]
    return []


@dataclass
class _Trial:
    """The jobs of a trial, how it has ended (None: it has not) and why, and how good it was after which epochs."""

    jobs: list[ComposedJob]
    status: EndStatus | None = None
    reason: str = ""
    at_epochs: dict[int, float] = field(default_factory=dict)

    def unfinished(self, results: Results, until: int | None) -> list[ComposedJob]:
        """Return the jobs that have still to be trained, up to an epoch."""
        known = [results.get(item.job.folder) for item in self.jobs]
        return [item for item, run in zip(self.jobs, known, strict=True) if run is None or not is_kept(run, until)]

    def look(self, results: Results, until: int | None) -> None:
        """See whether the trial has ended with its runs; what they have been trained since an epoch does not count."""
        runs = [results[item.job.folder] for item in self.jobs]
        ended = [run for run in runs if until is None or run.epochs <= until]
        if failed := [run for run in runs if run.status not in ("completed", "diverged", "pruned", "running")]:
            self.status, self.reason = "failed", f"{failed[0].name}: {failed[0].ending}"
        elif diverged := [run for run in ended if run.status == "diverged"]:
            self.status, self.reason = "diverged", f"{diverged[0].name}: {diverged[0].ending}"
        elif all(run in ended and run.status == "completed" for run in runs):
            self.status = "completed"

    def ended(self, results: Results, options: SearchOptions) -> Ended:
        runs = [results[item.job.folder] for item in self.jobs]
        names = tuple(run.name for run in runs)
        if self.status != "completed":
            at_epochs = self.at_epochs if self.status == "pruned" else {}
            return Ended(self.status or "failed", self.reason, runs=names, at_epochs=at_epochs)
        values = [options.badness(run.scores) for run in runs]
        known = [of_run for of_run in values if of_run is not None]
        if len(known) < len(runs):
            return Ended("diverged", "its objective is no number", runs=names)
        means = tuple(map(statistics.fmean, zip(*known, strict=True)))
        scores = {name: statistics.fmean(run.scores[name] for run in runs) for name in options.objective}
        return Ended("completed", values=means, scores=scores, runs=names, at_epochs=self.at_epochs)


def _compare(trials: Mapping[int, _Trial], study: Study, options: SearchOptions, epoch: int) -> None:
    """End the trials that are worse than others after so many epochs."""
    there = {number: trial for number, trial in trials.items() if trial.status in (None, "completed")}
    for trial in there.values():
        trial.at_epochs[epoch] = statistics.fmean(_best(item, epoch, options) for item in trial.jobs)
    values = {number: trial.at_epochs[epoch] for number, trial in there.items()}
    worse = options.pruner.worse(values, *study.reached(epoch))
    going = [number for number, trial in there.items() if trial.status is None]
    pruned = [number for number in going if number in worse]
    [name] = options.objective
    for number in pruned:
        trials[number].status = "pruned"
        trials[number].reason = f"after epoch {epoch}, {name} was {values[number]:.4g}, and {worse[number]}"
    if going:
        log.info("after epoch %d: %d of %s end", epoch, len(pruned), counted(len(going), "trial"))


def _best(item: ComposedJob, epochs: int, options: SearchOptions) -> float:
    """Return how good a run was in the best of its first epochs, infinity where it has no number."""
    [name] = options.objective
    scores = read_score(RunFolder(item.job.folder).metrics, name, epochs)
    known = [options.badness({name: score}) for score in scores]
    return min((of_epoch[0] for of_epoch in known if of_epoch is not None), default=math.inf)

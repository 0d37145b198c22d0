"""Which jobs of a sweep may share a stack, told from their settings alone; the first question of every plan."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vec2uage.runs.index import run_name
from vec2uage.training.checkpoint import Header
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.run_settings import RunSettings


@dataclass(frozen=True)
class Job:
    """One run to train: its settings, its folder, and that of the sweep it belongs to (None: to none)."""

    settings: RunSettings
    folder: Path
    sweep: Path | None = None

    @property
    def name(self) -> str:
        """What tables call the run."""
        return run_name(self.folder, self.folder if self.sweep is None else self.sweep)


def group(jobs: Sequence[Job], resumable: Mapping[Job, Header] | None = None) -> list[list[Job]]:
    """Group jobs that differ only in what a stack can hold (seed, learning rate, other `per_run` options).

    All runs of a stack are in the same epoch: jobs that go on from a checkpoint (`resumable`) share a group if they
    have had the same number of epochs. Groups of one precision follow each other, as those of another wait for them.
    """
    epochs = {job: header.epochs for job, header in (resumable or {}).items()}
    groups: dict[Hashable, list[Job]] = {}
    for job in jobs:
        groups.setdefault((learner_of(job.settings).stack_key(job.settings), epochs.get(job, 0)), []).append(job)
    return sorted(groups.values(), key=lambda members: members[0].settings.trainer.precision)

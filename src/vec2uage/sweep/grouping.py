"""Which jobs of a sweep can be one stack, found by what they share and proved by a trial step."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vec2uage.training.checkpoint import Header
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.run_settings import RunSettings


@dataclass(frozen=True)
class Job:
    """One run to train: its settings and its folder."""

    settings: RunSettings
    folder: Path


def group(jobs: Sequence[Job], begun: Mapping[Job, Header] | None = None) -> list[list[Job]]:
    """Group jobs that differ only in what a stack can hold (seed, learning rate, other `per_run` options).

    A stack has one clock: jobs that have `begun` share a group if they have had the same number of epochs. Groups of
    one precision follow each other, as those of another wait for them.
    """
    epochs = {job: header.epochs for job, header in (begun or {}).items()}
    groups: dict[Hashable, list[Job]] = {}
    for job in jobs:
        groups.setdefault((learner_of(job.settings).stack_key(job.settings), epochs.get(job, 0)), []).append(job)
    return sorted(groups.values(), key=lambda members: members[0].settings.trainer.precision)

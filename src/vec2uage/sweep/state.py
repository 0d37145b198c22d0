"""What all stacks of a sweep share while they train: how jobs have ended, who is told, and whether to stop."""

import errno
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.runs.result import RunResult
from vec2uage.sweep.display import Display
from vec2uage.sweep.grouping import Job
from vec2uage.training.checkpoint import Header


@dataclass
class SweepResult:
    """How the jobs ended, or that they paused ("running"): a result each, and the exception where one was raised."""

    results: dict[Job, RunResult] = field(default_factory=dict)
    errors: dict[Job, Exception] = field(default_factory=dict)
    interrupted: bool = False


@dataclass
class SweepState:
    """A sweep in progress; used from several threads.

    `resumable` tells of jobs that go on from a checkpoint, `postponed` of those that memory did not hold beside others.
    With `until`, runs pause after so many epochs: they have trained what was asked, and have not ended.
    """

    display: Display
    interrupt: threading.Event
    command: str
    resumable: dict[Job, Header]
    outcome: SweepResult = field(default_factory=SweepResult)
    postponed: list[Job] = field(default_factory=list)
    full_disk: Path | None = None
    until: int | None = None

    def end(self, job: Job, result: RunResult, error: Exception | None = None) -> None:
        """Record how a job has ended, and show it."""
        self.outcome.results[job] = result
        if error is not None:
            self.outcome.errors[job] = error
        self.display.end(job, result)

    def pause(self, job: Job, result: RunResult) -> None:
        """Record that a job has trained as long as it was asked to for now."""
        self.outcome.results[job] = result
        self.display.pause(job)

    def unfinished(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those of `jobs` that have neither ended nor paused."""
        return [job for job in jobs if job not in self.outcome.results]

    def stop_for_full_disk(self, folder: Path) -> None:
        """Stop all stacks, which from now on must write nothing more."""
        self.full_disk = folder
        self.interrupt.set()

    def refuse_full_disk(self) -> None:
        """Raise UserError if the disk was full."""
        if self.full_disk is not None:
            raise UserError(
                f"no space left on the disk of {self.full_disk}: free some and give the same command again; what has "
                "ended is kept, and the others go on from their last epoch"
            )


def is_disk_full(error: Exception) -> bool:
    """Tell whether an error says that nothing more can be written: the disk is full, or the user's share of it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)

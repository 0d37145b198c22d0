"""What all stacks of a sweep share: how jobs have ended, who is told, and whether to stop."""

import errno
import threading
from dataclasses import dataclass, field
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.runs.result import RunResult
from vec2uage.sweep.display import Display
from vec2uage.sweep.grouping import Job
from vec2uage.training.checkpoint import Header


@dataclass
class Finished:
    """How the jobs ended: a result each, and the exception where one was raised."""

    results: dict[Job, RunResult] = field(default_factory=dict)
    errors: dict[Job, Exception] = field(default_factory=dict)
    interrupted: bool = False


@dataclass
class Work:
    """The state of a sweep in progress; used from several threads.

    `begun` tells of jobs that go on from a state, `postponed` of those that memory did not hold beside others.
    """

    display: Display
    interrupt: threading.Event
    command: str
    begun: dict[Job, Header]
    finished: Finished = field(default_factory=Finished)
    postponed: list[Job] = field(default_factory=list)
    full_disk: Path | None = None

    def end(self, job: Job, result: RunResult, error: Exception | None = None) -> None:
        """Take down how a job has ended."""
        self.finished.results[job] = result
        if error is not None:
            self.finished.errors[job] = error
        self.display.end(job, result)

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

"""Chunks of a sweep under way in other processes: split off here, trained there, followed here.

What the executors of other processes share; each adds how a chunk is handed over.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import interruptible
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import Status
from vec2uage.sweep.display import Display
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.plan import split_evenly
from vec2uage.sweep.resume import has_ended, has_paused, resumable
from vec2uage.sweep.state import SweepResult, SweepState
from vec2uage.sweep.worker import end_untrained, paused_result

_POLL_SECONDS = 0.5  # between two looks for runs that have ended elsewhere
_END_SECONDS = 60  # that workers have to end after Ctrl-C; Slurm kills after 30 by default


@runtime_checkable
class Handle(Protocol):
    """A chunk under way elsewhere, as futures and submitit's jobs show it."""

    def done(self) -> bool: ...

    def exception(self) -> BaseException | None: ...

    def cancel(self) -> object: ...


@dataclass
class Stoppable:
    """A future whose task can be told to end, with what its runs have, once it has begun."""

    future: Any
    stop: Callable[[], object]

    def done(self) -> bool:
        return bool(self.future.done())

    def exception(self) -> BaseException | None:
        error: BaseException | None = self.future.exception()
        return error

    def cancel(self) -> None:
        if not self.future.cancel():
            self.stop()


def train_chunk(jobs: Sequence[Job], command: str, cores: int, folder: Path, until: int | None = None) -> None:
    """Train those of `jobs` that have not ended yet, on so many CPU cores, or `until` they have had so many epochs.

    Called in other processes.

    Relative paths begin in `folder`, where the command was typed: a cluster may start its processes elsewhere.
    Their results are told by their folders; where one could not be written, its reason is raised.
    """
    if folder.is_dir():  # or all paths have to be absolute
        os.chdir(folder)
    finished = train_jobs([job for job in jobs if not has_ended(job)], command, cores, until)
    for job, error in finished.errors.items():
        if not RunFolder(job.folder).result.exists():
            raise error


def logs_of(jobs: Sequence[Job]) -> Path:
    """Return the folder in which an executor keeps files of its own: that of the jobs' sweep."""
    return jobs[0].sweep or jobs[0].folder.parent


def split_into_chunks(jobs: Sequence[Job], most: int) -> list[list[Job]]:
    """Split a sweep, its groups one after the other, into chunks of at most `most` jobs; small groups share one."""
    ordered = [job for members in group(jobs, resumable(jobs)) for job in members]
    return split_evenly(ordered, most, 1) if ordered else []


@contextmanager
def beyond_ctrl_c() -> Iterator[None]:
    """Start processes in the block that the terminal's Ctrl-C does not reach: they have its signal blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow(
    jobs: Sequence[Job],
    command: str,
    chunks: Sequence[Sequence[Job]],
    submit: Callable[[Sequence[Job]], Handle],
    submit_again: Callable[[Sequence[Job]], Handle] | None = None,
    until: int | None = None,
) -> SweepResult:
    """Hand out all chunks, show which runs end, and return how all of them ended.

    With `until` runs pause after so many epochs. What a chunk that broke has not ended fails with the reason, after a
    second try with `submit_again`. The first Ctrl-C or SIGTERM cancels all chunks.
    """
    with interruptible() as interrupt, Display(jobs, until) as display:
        sweep = SweepState(display, interrupt, command, {}, until=until)
        under_way: list[_UnderWay] = []
        try:
            with beyond_ctrl_c():
                under_way = [_UnderWay(submit(chunk), chunk, submit_again) for chunk in chunks]
            while under_way and not interrupt.is_set():
                _collect(jobs, sweep)
                time.sleep(_POLL_SECONDS)
                for chunk in [chunk for chunk in under_way if chunk.handle.done()]:
                    under_way.remove(chunk)
                    under_way += _conclude(chunk, sweep)
        finally:
            for chunk in under_way:
                chunk.handle.cancel()
        # What is written below would be written over by a worker that still ends a run.
        deadline = time.monotonic() + _END_SECONDS
        while not all(chunk.handle.done() for chunk in under_way) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        sweep.outcome.interrupted = interrupt.is_set()
        _collect(jobs, sweep, last=True)
        _end(sweep.unfinished(jobs), "interrupted", "interrupted with the sweep", sweep)
    return sweep.outcome


@dataclass(frozen=True)
class _UnderWay:
    """A chunk that was handed out, and how to do so once more, if it may be."""

    handle: Handle
    jobs: Sequence[Job]
    submit_again: Callable[[Sequence[Job]], Handle] | None


def _conclude(chunk: _UnderWay, sweep: SweepState) -> list[_UnderWay]:
    """Collect the results of a chunk that is done; hand out again what it has not ended, or let that fail."""
    error = chunk.handle.exception()
    _collect(chunk.jobs, sweep, last=True)
    left = sweep.unfinished(chunk.jobs)
    if left and chunk.submit_again is not None:
        return [_UnderWay(chunk.submit_again(left), left, None)]
    _end(left, "failed", f"its worker broke off: {_reason(error)}", sweep)
    return []


def _end(jobs: Sequence[Job], status: Status, reason: str, sweep: SweepState) -> None:
    sweep.resumable.update(resumable(jobs))
    for job in jobs:
        end_untrained(job, status, reason, sweep)


def _collect(jobs: Sequence[Job], sweep: SweepState, last: bool = False) -> None:
    """Record which runs have ended elsewhere; an interrupted one goes on if its chunk is handed out again."""
    for job in jobs:
        folder = RunFolder(job.folder)
        with suppress(OSError, UserError):  # the folder is gone, or its result damaged: nothing has ended there
            if last:
                list(job.folder.iterdir())  # a disk of the network shows a new file only to those who list its folder
            if job not in sweep.outcome.results and folder.result.exists():
                result = folder.read_result()
                if last or result.status != "interrupted":
                    sweep.end(job, result)
    for job, header in resumable(sweep.unfinished(jobs)).items() if last and sweep.until else ():
        if has_paused(header, sweep.until):
            sweep.pause(job, paused_result(job, header, sweep.command))


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "it ended without a result"
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]

"""Parts of a sweep under way in other processes: cut, trained there, followed here."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vec2uage.base.cli import interruptible
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.display import Display
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.plan import cut
from vec2uage.sweep.resume import ENDED
from vec2uage.sweep.state import Finished, Work
from vec2uage.sweep.worker import end_untrained, headers

_POLL_SECONDS = 0.5  # between two looks for runs that have ended elsewhere
_END_SECONDS = 60  # that workers have to end after Ctrl-C; Slurm kills after 30 by default


@runtime_checkable
class Handle(Protocol):
    """A part under way elsewhere, as futures and submitit's jobs show it."""

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


def train_part(jobs: Sequence[Job], command: str, cores: int) -> None:
    """Train those of `jobs` that have not ended yet, on so many CPU cores; called in other processes."""
    train_jobs([job for job in jobs if not _has_ended(job)], command, cores)


def parts(jobs: Sequence[Job], most: int) -> list[list[Job]]:
    """Cut a sweep, its groups one after the other, into parts of at most `most` jobs; small groups share a part."""
    ordered = [job for members in group(jobs, headers(jobs)) for job in members]
    return cut(ordered, most, 1) if ordered else []


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
    pieces: Sequence[Sequence[Job]],
    submit: Callable[[Sequence[Job]], Handle],
    once_more: Callable[[Sequence[Job]], Handle] | None = None,
) -> Finished:
    """Give out all parts, show which runs end, and return how all of them ended.

    What a part that broke has not ended fails with the reason, after a second try with `once_more`. The first Ctrl-C or
    SIGTERM cancels all parts.
    """
    with interruptible() as interrupt, Display(jobs) as display:
        work = Work(display, interrupt, command, {})
        under_way = []
        try:
            with beyond_ctrl_c():
                under_way = [(submit(piece), piece, once_more) for piece in pieces]
            while under_way and not interrupt.is_set():
                _look(jobs, work)
                time.sleep(_POLL_SECONDS)
                for entry in [entry for entry in under_way if entry[0].done()]:
                    under_way.remove(entry)
                    handle, piece, again = entry
                    error = handle.exception()
                    _look(piece, work, last=True)
                    left = [job for job in piece if job not in work.finished.results]
                    if left and again is not None:
                        under_way.append((again(left), left, None))
                        continue
                    work.begun.update(headers(left))
                    for job in left:
                        end_untrained(job, "failed", f"its worker broke off: {_reason(error)}", work)
        finally:
            for handle, _, _ in under_way:
                handle.cancel()
        # What is written below would be written over by a worker that still ends a run.
        deadline = time.monotonic() + _END_SECONDS
        while not all(handle.done() for handle, _, _ in under_way) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        work.finished.interrupted = interrupt.is_set()
        _look(jobs, work, last=True)
        left = [job for job in jobs if job not in work.finished.results]
        work.begun.update(headers(left))
        for job in left:
            end_untrained(job, "interrupted", "interrupted with the sweep", work)
    return work.finished


def _look(jobs: Sequence[Job], work: Work, last: bool = False) -> None:
    """Take down which runs have ended elsewhere; an interrupted one goes on if its part is handed out again."""
    for job in jobs:
        folder = RunFolder(job.folder)
        if last:
            list(job.folder.iterdir())  # a disk of the network shows a new file only to those who list its folder
        if job not in work.finished.results and folder.result.exists():
            result = folder.read_result()
            if last or result.status != "interrupted":
                work.end(job, result)


def _has_ended(job: Job) -> bool:
    return RunFolder(job.folder).result.exists() and RunFolder(job.folder).read_result().status in ENDED


def _reason(error: BaseException | None) -> str:
    return (
        "it ended without a result"
        if error is None
        else f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
    )

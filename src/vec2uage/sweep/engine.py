"""Trains jobs: groups them, lays them over the machine, and keeps one job's failure from the others."""

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch

from vec2uage.base import seeds
from vec2uage.base.cli import interruptible
from vec2uage.base.device import torch_device
from vec2uage.base.errors import UserError
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.sweep.display import Display
from vec2uage.sweep.grouping import Job, Proof, group, prove, threads
from vec2uage.sweep.plan import cut, make_plan, workers
from vec2uage.training.data import TrainingData, load
from vec2uage.training.record import Recorder
from vec2uage.training.trainer import Epoch, Outcome, train_stack

log = logging.getLogger(__name__)


@dataclass
class Finished:
    """How the jobs ended: a result each, and the exception where one was raised."""

    results: dict[Job, RunResult] = field(default_factory=dict)
    errors: dict[Job, Exception] = field(default_factory=dict)
    interrupted: bool = False


@dataclass(frozen=True)
class _Work:
    """What all stacks of a sweep share: who is told of their news, and whether to stop."""

    finished: Finished
    display: Display
    interrupt: threading.Event
    command: str

    def end(self, job: Job, result: RunResult, error: Exception | None = None) -> None:
        self.finished.results[job] = result
        if error is not None:
            self.finished.errors[job] = error
        self.display.end(job, result)


@dataclass(frozen=True)
class _Observer:
    """Passes the news of one stack on to its run folders and to the display."""

    work: _Work
    jobs: Sequence[Job]
    recorders: Sequence[Recorder]
    data: TrainingData

    def interrupted(self) -> bool:
        return self.work.interrupt.is_set()

    def epoch(self, run: int, epoch: Epoch) -> None:
        self.recorders[run].epoch(epoch)
        self.work.display.epoch(self.jobs[run], epoch, len(self.data.train))

    def end(self, run: int, outcome: Outcome) -> None:
        self.work.end(self.jobs[run], self.recorders[run].end(outcome, self.data))


def train_jobs(jobs: Sequence[Job], command: str) -> Finished:
    """Train all jobs, each into its own folder (claimed before); a failed job does not stop the others.

    The first Ctrl-C or SIGTERM ends all runs with what they have.
    """
    finished = Finished()
    if not jobs:
        return finished
    plan = make_plan(len(jobs), jobs[0].settings.trainer, _kind(jobs[0]))
    with (
        interruptible() as interrupt,
        Display(jobs) as display,
        workers(plan) as pool,
    ):
        work = _Work(finished, display, interrupt, command)
        pending: set[Future[None]] = set()
        for members in group(jobs):
            # The next group's data is loaded while the last one's stacks still train, but not all data at once.
            pending = _wait_below(plan.workers, pending)
            if interrupt.is_set():
                break
            try:
                device = torch_device(members[0].settings.trainer.device, "trainer.device")
                data = load(members[0].settings, device)
                proof = prove(members[0].settings, data.dimension, len(data.train), device)
            except Exception as error:
                _fail(members, error, work)
                continue
            size = make_plan(len(members), members[0].settings.trainer, device).stack_size if proof.stackable else 1
            stacks = cut(members, size, plan.workers)
            if len(jobs) > 1:
                log.info("%s", _describe(members, stacks, plan.workers, proof))
            if proof.draws:  # these hold torch's global random state, so nothing else may run
                pending = _wait_below(1, pending)
            pending |= {pool.submit(_train_stack, stack, data, device, proof, work) for stack in stacks}
            if proof.draws:
                pending = _wait_below(1, pending)
        _wait_below(1, pending)
        finished.interrupted = interrupt.is_set()
        for job in jobs:
            if job not in finished.results:
                recorder = Recorder(RunFolder(job.folder), job.settings, command)
                work.end(job, recorder.fail("interrupted before it began", "interrupted"))
    return finished


def _wait_below(limit: int, pending: set[Future[None]]) -> set[Future[None]]:
    """Wait until fewer than `limit` stacks are unfinished; return those that are."""
    while len(pending) >= limit:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return pending


def _train_stack(jobs: list[Job], data: TrainingData, device: torch.device, proof: Proof, work: _Work) -> None:
    if work.interrupt.is_set():
        return
    settings = [job.settings for job in jobs]
    recorders: list[Recorder] = []
    try:
        recorders.extend(Recorder(RunFolder(job.folder), job.settings, work.command) for job in jobs)
        observer = _Observer(work, jobs, recorders, data)
        with ExitStack() as conditions:
            if proof.one_thread:
                conditions.enter_context(threads(1))
            if proof.draws:
                conditions.enter_context(seeds.global_torch_rng(settings[0].seed, "forward"))
            train_stack(settings, data, device, observer)
    except Exception as error:
        log.debug("a stack of %d runs failed", len(jobs), exc_info=error)
        left = [job for job in jobs if job not in work.finished.results]
        _fail(left, error, work, dict(zip(jobs, recorders, strict=False)))


def _fail(jobs: Sequence[Job], error: Exception, work: _Work, begun: Mapping[Job, Recorder] | None = None) -> None:
    for job in jobs:
        recorder = (begun or {}).get(job) or Recorder(RunFolder(job.folder), job.settings, work.command)
        work.end(job, recorder.fail(_reason(error)), error)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _kind(job: Job) -> torch.device:
    """The device a plan is made for; a job whose device is missing fails later, with its own reason."""
    name = job.settings.trainer.device
    return torch_device(name) if name == "auto" else torch.device(name)


def _describe(jobs: Sequence[Job], stacks: Sequence[Sequence[Job]], workers: int, proof: Proof) -> str:
    settings = jobs[0].settings
    what = " ".join(settings.choice(group) for group in ("dataset", "model", "optimizer"))
    sizes = sorted({len(stack) for stack in stacks})
    how = f"stacks of {'-'.join(str(size) for size in sizes)}, {workers} at a time"
    why = "" if proof.stackable else f" (one by one: {proof.reason})"
    return f"{len(jobs)} runs of {what}: {how}{why}"

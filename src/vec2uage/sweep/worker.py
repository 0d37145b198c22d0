"""Trains one stack into its run folders, for the engine; what goes wrong with it ends its own runs and no others."""

import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import torch

from vec2uage.base import seeds
from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy
from vec2uage.config.hydra.errors import error_sentence
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult, Status
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.plan import split_evenly
from vec2uage.sweep.resume import has_ended, resumable
from vec2uage.sweep.state import SweepState, is_disk_full
from vec2uage.training import checkpoint
from vec2uage.training.checkpoint import Checkpoint, Header
from vec2uage.training.cuda_graph import free_unused_memory
from vec2uage.training.data import TrainingData
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.record import Recorder, describe
from vec2uage.training.stack_check import StackCheck

log = logging.getLogger(__name__)

# Of a checkpoint: the states of the generators that a network which draws random numbers draws from.
_FORWARD, _FORWARD_CUDA = "forward", "forward_cuda"


def train(
    jobs: Sequence[Job],
    data: TrainingData,
    device: torch.device,
    stack_check: StackCheck,
    sweep: SweepState,
    alone: bool,
) -> None:
    """Train jobs as one stack, or, where the device's memory does not hold it, as two halves one after the other.

    A single job that memory does not hold fails if it trains `alone`; beside other stacks it is postponed.
    """
    stacks = [list(jobs)]
    while stacks and not sweep.interrupt.is_set():
        stack = stacks.pop(0)
        recorders: dict[Job, Recorder] = {}
        raised = _attempt(stack, data, device, stack_check, sweep, recorders)
        if raised is None:
            continue
        if isinstance(raised, _Paused):
            _close(recorders)
            _release_memory(raised)
            for job, header in resumable(sweep.unfinished(stack)).items():
                sweep.pause(job, paused_result(job, header, sweep.command))
            continue
        error, broken = (raised.error, raised.job) if isinstance(raised, _OfOneRun) else (raised, None)
        left = sweep.unfinished(stack)
        if is_disk_full(error) or sweep.full_disk:
            sweep.stop_for_full_disk(stack[0].folder)
            _close(recorders)
        elif broken is not None:
            fail([broken], error, sweep, recorders)
            _close(recorders)
            _release_memory(raised)
            stacks[:0] = _regroup(sweep.unfinished(stack), sweep)
        elif is_out_of_memory(error) and left and (len(left) > 1 or not alone):
            _close(recorders)
            _release_memory(error)
            stacks[:0] = _retry_smaller(left, sweep)
        else:
            log.debug("a stack of %d runs failed", len(stack), exc_info=error)
            traceback.clear_frames(error.__traceback__)  # they hold the stack's tensors
            fail(left, error, sweep, recorders)


def _release_memory(error: Exception) -> None:
    """Let go of what a stack has taken that broke off with `error`."""
    error.__traceback__ = None  # its frames hold the stack's tensors
    free_unused_memory()


def _regroup(left: Sequence[Job], sweep: SweepState) -> list[list[Job]]:
    """Return the stacks in which the runs of a stack that broke off go on from their last checkpoints."""
    known = resumable(left)
    for job in left:
        sweep.resumable.pop(job, None)
    sweep.resumable.update(known)
    return group(left, known)


def _retry_smaller(left: Sequence[Job], sweep: SweepState) -> list[list[Job]]:
    """Return two halves of a stack that memory did not hold; a single run is postponed until nothing else trains."""
    stacks = _regroup(left, sweep)
    if len(left) == 1:
        log.warning("%s does not fit into memory beside others: it is trained after them", left[0].name)
        sweep.postponed += left
        return []
    log.warning("%d runs as one stack do not fit into memory: going on with half of them", len(left))
    return [half for members in stacks for half in split_evenly(members, -(-len(left) // 2), 1)]


def fail(
    jobs: Sequence[Job], error: Exception, sweep: SweepState, recorders: Mapping[Job, Recorder] | None = None
) -> None:
    """End jobs that could not be trained."""
    known = isinstance(error, UserError | OSError)
    reason = error_sentence(error) if known else f"{type(error).__name__}: {error}"
    for job in jobs:
        if recorders and job in recorders:
            _end(job, recorders[job].fail(reason), sweep, error)
        else:
            end_untrained(job, "failed", reason, sweep, error)


def end_untrained(job: Job, status: Status, reason: str, sweep: SweepState, error: Exception | None = None) -> None:
    """End a job that was not trained now."""
    epochs = sweep.resumable[job].epochs if job in sweep.resumable else 0
    result = describe(job.name, job.settings, sweep.command, status=status, reason=reason, epochs=epochs)
    _end(job, result, sweep, error)


def _end(job: Job, result: RunResult, sweep: SweepState, error: Exception | None) -> None:
    """End a job with the result of one that did not come to its end, which is written if its folder takes it.

    A run that another process trains there, or that has ended there, is left alone.
    """
    folder = RunFolder(job.folder)
    with suppress(Busy, OSError):
        folder.check_free()
        if not has_ended(job):
            folder.write_result(result)
    sweep.end(job, result, error)


def paused_result(job: Job, header: Header, command: str) -> RunResult:
    """Return the result, written nowhere, of a run that goes on from its checkpoint when it is asked to."""
    return describe(job.name, job.settings, command, status="running", epochs=header.epochs, started=header.started)


def prune(job: Job, reason: str, command: str) -> RunResult:
    """End, as pruned, a run that has paused; raises UserError where its checkpoint is damaged or gone."""
    folder = RunFolder(job.folder)
    outcome = checkpoint.load(folder.checkpoint).outcome
    recorder = Recorder(folder, job.name, job.settings, command, checkpoint.read_header(folder.checkpoint))
    return recorder.prune(outcome, reason)


class _Paused(Exception):
    """All runs of a stack have had the epochs that they were to have for now, and each has its checkpoint of them."""


class _OfOneRun(Exception):
    """What went wrong with the folder of one run of a stack: no reason for the others to end."""

    def __init__(self, job: Job, error: Exception) -> None:
        super().__init__(str(error))
        self.job, self.error = job, error


@contextmanager
def _of_one_run(job: Job) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _OfOneRun(job, error) from error


@dataclass
class _Observer:
    """Passes the news of one stack on to its run folders and to the display."""

    sweep: SweepState
    jobs: Sequence[Job]
    recorders: Mapping[Job, Recorder]
    data: TrainingData
    is_stochastic: bool
    epochs: int = 0

    def interrupted(self) -> bool:
        if self.sweep.until is not None and self.epochs >= self.sweep.until:
            raise _Paused  # what lives in the checkpoints need not be scored and saved, as what is interrupted
        return self.sweep.interrupt.is_set()

    def epoch(self, run: int, epoch: Epoch) -> None:
        job, self.epochs = self.jobs[run], epoch.number + 1
        with _of_one_run(job):
            self.recorders[job].epoch(epoch)
        self.sweep.display.epoch(job, epoch, len(self.data.train))

    def checkpoint(self, run: int, checkpoint: Checkpoint) -> None:
        if self.is_stochastic:
            checkpoint.tensors[_FORWARD] = torch.get_rng_state()
            if (device := self.data.train.age.device).type == "cuda":
                checkpoint.tensors[_FORWARD_CUDA] = torch.cuda.get_rng_state(device)
        with _of_one_run(self.jobs[run]):
            self.recorders[self.jobs[run]].checkpoint(checkpoint, self.data)

    def end(self, run: int, outcome: Outcome) -> None:
        job = self.jobs[run]
        if self.sweep.full_disk is None:
            with _of_one_run(job):
                result = self.recorders[job].end(outcome, self.data)
            self.sweep.end(job, result)


def _attempt(
    jobs: Sequence[Job],
    data: TrainingData,
    device: torch.device,
    stack_check: StackCheck,
    sweep: SweepState,
    recorders: dict[Job, Recorder],
) -> Exception | None:
    """Train jobs as one stack; return what was raised. `recorders` gets a Recorder for each job that has begun."""
    try:
        checkpoints = []
        for job in jobs:
            folder, header = RunFolder(job.folder), sweep.resumable.get(job)
            with _of_one_run(job):
                if header is not None:
                    checkpoints.append(checkpoint.load(folder.checkpoint))
                recorders[job] = Recorder(folder, job.name, job.settings, sweep.command, header)
        observer = _Observer(sweep, jobs, recorders, data, stack_check.is_stochastic)
        settings = [job.settings for job in jobs]
        own = _own_generators(settings[0].seed, device, checkpoints) if stack_check.is_stochastic else nullcontext()
        with threads(1) if stack_check.one_thread else nullcontext(), own:
            learner_of(settings[0]).fit(settings, data, device, observer, checkpoints)
    except Exception as error:
        return error
    return None


@contextmanager
def _own_generators(seed: int, device: torch.device, checkpoints: Sequence[Checkpoint]) -> Iterator[None]:
    """Let a network that draws random numbers draw those of its run, or go on from its checkpoint."""
    with seeds.global_torch_rng(seed, "forward", device=device):
        if checkpoints:
            torch.set_rng_state(checkpoints[0].tensors[_FORWARD])
            if device.type == "cuda" and _FORWARD_CUDA in checkpoints[0].tensors:
                torch.cuda.set_rng_state(checkpoints[0].tensors[_FORWARD_CUDA], device)
        yield


def _close(recorders: Mapping[Job, Recorder]) -> None:
    for recorder in recorders.values():
        with suppress(OSError, ValueError):  # on a full disk; ValueError: the run has ended, its files are closed
            recorder.close()


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that there is no memory left, on the device or beside it."""
    said = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in said)

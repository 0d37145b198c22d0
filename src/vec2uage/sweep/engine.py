"""Trains the jobs of a sweep in this process: groups them, lays them over the machine, and hands stacks to workers.

One job's failure stops no other. How a group becomes stacks is told in `layout`, how a stack trains in `worker`.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures import Executor as Pool
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue

import torch

from vec2uage.base.interrupt import interruptible
from vec2uage.sweep.display import Display
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.layout import Layout, lay_out, sweep_plan
from vec2uage.sweep.plan import Plan, worker_pool
from vec2uage.sweep.resume import has_paused, resumable
from vec2uage.sweep.state import SweepResult, SweepState
from vec2uage.sweep.worker import end_untrained, fail, is_out_of_memory, paused_result, train
from vec2uage.training.cuda_graph import free_unused_memory
from vec2uage.training.data import TrainingData
from vec2uage.training.precision import Precision
from vec2uage.training.stack_check import StackCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slot:
    """Where one stack at a time trains; on a GPU in a stream of its own."""

    device: torch.device
    stream: torch.cuda.Stream | None = None


FreeSlots = SimpleQueue[Slot]
_Loaded = tuple[Layout, dict[torch.device, TrainingData]]


def train_jobs(jobs: Sequence[Job], command: str, cores: int | None = None, until: int | None = None) -> SweepResult:
    """Train all jobs, each into its own folder, on so many CPU cores (None: on all); a job that fails stops no other.

    A job whose folder holds a checkpoint goes on from there. With `until`, a run that has had so many epochs pauses: it
    is "running", and its checkpoint is what it goes on from. The first Ctrl-C or SIGTERM ends all runs with what they
    have. Raises UserError if the disk is full, once all runs have stopped.
    """
    known = resumable(jobs)
    paused = {job: paused_result(job, header, command) for job, header in known.items() if has_paused(header, until)}
    jobs = [job for job in jobs if job not in paused]
    if not jobs:
        return SweepResult(paused)
    groups = group(jobs, known)
    plan = sweep_plan(groups, cores)
    with (
        interruptible() as interrupt,
        Display(jobs, until) as display,
        worker_pool(plan) as pool,
    ):
        sweep = SweepState(display, interrupt, command, known, SweepResult(paused), until=until)
        scheduler = Scheduler(plan, cores, pool, sweep, is_logged=len(jobs) > 1)
        for members in groups:
            scheduler.submit(members)
        scheduler.wait()
        for job in sweep.postponed:
            scheduler.submit([job], alone=True)
        sweep.refuse_full_disk()
        sweep.outcome.interrupted = interrupt.is_set()
        for job in sweep.unfinished(jobs):
            began = "went on" if job in sweep.resumable else "began"
            end_untrained(job, "interrupted", f"interrupted before it {began}", sweep)
    return sweep.outcome


@dataclass
class Scheduler:
    """Hands the groups of a sweep to the workers, one after the other and, as long as there is room, side by side."""

    plan: Plan
    cores: int | None
    pool: Pool
    sweep: SweepState
    is_logged: bool
    """Whether to log how each group is trained."""
    precision: Precision | None = None
    """Of what trains now."""
    at_once: int = 1
    """How many stacks such as the largest that trains now may train at a time."""
    free: dict[tuple[torch.device, ...], FreeSlots] = field(default_factory=dict)
    pending: set[Future[None]] = field(default_factory=set)

    def submit(self, members: Sequence[Job], alone: bool = False) -> None:
        """Hand the stacks of a group to the workers as soon as one is free; `alone`: to train beside nothing else."""
        # The next group's data is loaded while the last one's stacks still train, but not all data at once.
        self.wait(self.plan.workers)
        if self.sweep.interrupt.is_set():
            return
        if (precision := members[0].settings.trainer.precision) != self.precision:
            self.wait()  # torch has one for all threads: stacks of two would wait for each other at every step
            self.precision = precision
        loaded = self._load_when_it_fits(members)
        if isinstance(loaded, Exception):
            fail(members, loaded, self.sweep)
            return
        layout, data = loaded
        if not alone:
            self._log(layout)
        # a network that draws random numbers holds torch's global random state
        by_itself = alone or layout.stack_check.is_stochastic or self.plan.workers == 1
        if by_itself:
            self.wait()
        if layout.devices not in self.free:
            self.free[layout.devices] = _free_slots(layout.devices, self.plan)
        free = self.free[layout.devices]
        for stack in layout.stacks:
            self._wait_for_room(layout.at_once)
            self.pending.add(self.pool.submit(_train, stack, data, free, layout.stack_check, self.sweep, by_itself))
        if by_itself:
            self.wait()

    def _wait_for_room(self, at_once: int) -> None:
        """Wait until so few stacks train that memory holds one beside them of which it holds so many."""
        limit = min(at_once, self.at_once)
        self.wait(limit)
        self.at_once = limit if self.pending else at_once

    def _log(self, layout: Layout) -> None:
        if self.is_logged:
            log.info("%s", layout.describe())
        if layout.warning:
            log.warning("%s", layout.warning)

    def _load_when_it_fits(self, members: Sequence[Job]) -> _Loaded | Exception:
        """Lay out a group; where memory does not hold its data beside those that train, once these have ended."""
        loaded = self._load(members)
        if isinstance(loaded, Exception) and is_out_of_memory(loaded) and self.pending:
            loaded.__traceback__ = None  # its frames hold what has been loaded
            self.wait()
            free_unused_memory()
            loaded = self._load(members)
        return loaded

    def _load(self, members: Sequence[Job]) -> _Loaded | Exception:
        try:
            layout = lay_out(members, self.plan, self.cores)
            return layout, {device: layout.data.to(device) for device in layout.devices}
        except Exception as error:
            return error

    def wait(self, limit: int = 1) -> None:
        """Wait until fewer than `limit` stacks are unfinished."""
        while len(self.pending) >= limit:
            done, self.pending = wait(self.pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()


def _free_slots(devices: tuple[torch.device, ...], plan: Plan) -> FreeSlots:
    """Return the slots in which stacks can train: each GPU once for every group, a CPU once for every worker."""
    free: FreeSlots = SimpleQueue()
    if devices[0].type == "cpu":
        slots = [Slot(devices[0])] * plan.workers
    else:
        slots = [Slot(device, torch.cuda.Stream(device)) for device in devices * plan.groups]
    for slot in slots:
        free.put(slot)
    return free


def _train(
    jobs: Sequence[Job],
    data: Mapping[torch.device, TrainingData],
    free: FreeSlots,
    stack_check: StackCheck,
    sweep: SweepState,
    alone: bool,
) -> None:
    slot = free.get()
    try:
        with _within(slot):
            train(jobs, data[slot.device], slot.device, stack_check, sweep, alone)
    except Exception as error:  # of what was to end them: still no reason for the others to end
        fail(sweep.unfinished(jobs), error, sweep)
    finally:
        free.put(slot)


@contextmanager
def _within(slot: Slot) -> Iterator[None]:
    if slot.stream is None:
        yield
        return
    slot.stream.wait_stream(torch.cuda.default_stream(slot.device))  # in which the data was copied
    with torch.cuda.stream(slot.stream):
        yield

"""Trains jobs: groups them, lays them over the machine, and keeps one job's failure from the others."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue

import torch

from vec2uage.base.cli import interruptible
from vec2uage.sweep.display import Display
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.layout import Layout, lay_out, sweep_plan
from vec2uage.sweep.plan import Plan, workers
from vec2uage.sweep.state import Finished, Work
from vec2uage.sweep.worker import end_untrained, fail, headers, is_out_of_memory, train
from vec2uage.training.cuda_graph import free_unused_memory
from vec2uage.training.data import TrainingData
from vec2uage.training.precision import Precision
from vec2uage.training.stack_check import StackCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where one stack at a time trains; on a GPU in a stream of its own."""

    device: torch.device
    stream: torch.cuda.Stream | None = None


Free = SimpleQueue[Place]


def train_jobs(jobs: Sequence[Job], command: str, cores: int | None = None) -> Finished:
    """Train all jobs, each into its own folder, on so many CPU cores (None: on all); a job that fails stops no other.

    A job whose folder holds a state goes on from there. The first Ctrl-C or SIGTERM ends all runs with what they have.
    Raises UserError if the disk is full, once all runs have stopped.
    """
    if not jobs:
        return Finished()
    begun = headers(jobs)
    groups = group(jobs, begun)
    plan = sweep_plan(groups, cores)
    with (
        interruptible() as interrupt,
        Display(jobs) as display,
        workers(plan) as pool,
    ):
        work = Work(display, interrupt, command, begun)
        floor = _Floor(plan, cores, pool, work, told=len(jobs) > 1)
        for members in groups:
            floor.take(members)
        floor.wait()
        for job in work.postponed:
            floor.take([job], alone=True)
        work.refuse_full_disk()
        work.finished.interrupted = interrupt.is_set()
        for job in jobs:
            if job not in work.finished.results:
                began = "went on" if job in work.begun else "began"
                end_untrained(job, "interrupted", f"interrupted before it {began}", work)
    return work.finished


@dataclass
class _Floor:
    """Where the groups of a sweep train, one after the other and, as long as there is room, side by side."""

    plan: Plan
    cores: int | None
    pool: Executor
    work: Work
    told: bool
    """Whether to log how each group is trained."""
    precision: Precision | None = None
    """Of what trains now."""
    free: dict[tuple[torch.device, ...], Free] = field(default_factory=dict)
    pending: set[Future[None]] = field(default_factory=set)

    def take(self, members: Sequence[Job], alone: bool = False) -> None:
        """Hand the stacks of a group to the workers as soon as one is free; `alone`: to train beside nothing else."""
        # The next group's data is loaded while the last one's stacks still train, but not all data at once.
        self.wait(self.plan.workers)
        if self.work.interrupt.is_set():
            return
        if (precision := members[0].settings.trainer.precision) != self.precision:
            self.wait()  # torch has one for all threads: stacks of two would wait for each other at every step
            self.precision = precision
        loaded = self._load(members)
        if isinstance(loaded, Exception) and is_out_of_memory(loaded) and self.pending:
            loaded.__traceback__ = None  # its frames hold what has been loaded
            self.wait()
            free_unused_memory()
            loaded = self._load(members)
        if isinstance(loaded, Exception):
            fail(members, loaded, self.work)
            return
        layout, data = loaded
        if self.told and not alone:
            log.info("%s", layout.describe(self.plan.workers))
        if layout.caution and not alone:
            log.warning("%s", layout.caution)
        # a network that draws random numbers holds torch's global random state
        by_itself = alone or layout.stack_check.is_stochastic or self.plan.workers == 1
        if by_itself:
            self.wait()
        if layout.devices not in self.free:
            self.free[layout.devices] = _all_free(layout.devices, self.plan)
        of_group = self.free[layout.devices]
        self.pending |= {
            self.pool.submit(_train, stack, data, of_group, layout.stack_check, self.work, by_itself)
            for stack in layout.stacks
        }
        if by_itself:
            self.wait()

    def _load(self, members: Sequence[Job]) -> tuple[Layout, dict[torch.device, TrainingData]] | Exception:
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


def _all_free(devices: tuple[torch.device, ...], plan: Plan) -> Free:
    """Return the places where stacks can train: each GPU once for every group, a CPU once for every worker."""
    free: Free = SimpleQueue()
    if devices[0].type == "cpu":
        places = [Place(devices[0])] * plan.workers
    else:
        places = [Place(device, torch.cuda.Stream(device)) for device in devices * plan.groups]
    for place in places:
        free.put(place)
    return free


def _train(
    jobs: Sequence[Job],
    data: Mapping[torch.device, TrainingData],
    free: Free,
    stack_check: StackCheck,
    work: Work,
    alone: bool,
) -> None:
    place = free.get()
    try:
        with _within(place):
            train(jobs, data[place.device], place.device, stack_check, work, alone)
    except Exception as error:  # of what was to end them: still no reason for the others to end
        fail([job for job in jobs if job not in work.finished.results], error, work)
    finally:
        free.put(place)


@contextmanager
def _within(place: Place) -> Iterator[None]:
    if place.stream is None:
        yield
        return
    place.stream.wait_stream(torch.cuda.default_stream(place.device))  # in which the data was copied
    with torch.cuda.stream(place.stream):
        yield

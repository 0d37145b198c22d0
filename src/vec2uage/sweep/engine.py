"""Trains jobs: groups them, lays them over the machine, and keeps one job's failure from the others."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

import torch

from vec2uage.base.cli import interruptible
from vec2uage.sweep.display import Display
from vec2uage.sweep.grouping import Job, Proof, group
from vec2uage.sweep.layout import lay_out, sweep_plan
from vec2uage.sweep.plan import Plan, workers
from vec2uage.sweep.work import Finished, Work
from vec2uage.sweep.worker import end_untrained, fail, headers, train
from vec2uage.training.data import TrainingData

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
        free: dict[tuple[torch.device, ...], Free] = {}
        pending: set[Future[None]] = set()
        for members in groups:
            # The next group's data is loaded while the last one's stacks still train, but not all data at once.
            pending = _wait_below(plan.workers, pending)
            if interrupt.is_set():
                break
            try:
                layout = lay_out(members, plan, cores)
                data = {device: layout.data.to(device) for device in layout.devices}
            except Exception as error:
                fail(members, error, work)
                continue
            if len(jobs) > 1:
                log.info("%s", layout.describe(plan.workers))
            if layout.proof.draws:  # these hold torch's global random state, so nothing else may run
                pending = _wait_below(1, pending)
            if layout.devices not in free:
                free[layout.devices] = _all_free(layout.devices, plan)
            of_group = free[layout.devices]
            pending |= {pool.submit(_train, stack, data, of_group, layout.proof, work) for stack in layout.stacks}
            if layout.proof.draws:
                pending = _wait_below(1, pending)
        _wait_below(1, pending)
        work.refuse_full_disk()
        work.finished.interrupted = interrupt.is_set()
        for job in jobs:
            if job not in work.finished.results:
                end_untrained(job, "interrupted", "interrupted before it began", work)
    return work.finished


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
    jobs: Sequence[Job], data: Mapping[torch.device, TrainingData], free: Free, proof: Proof, work: Work
) -> None:
    place = free.get()
    try:
        with _within(place):
            train(jobs, data[place.device], place.device, proof, work)
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


def _wait_below(limit: int, pending: set[Future[None]]) -> set[Future[None]]:
    """Wait until fewer than `limit` stacks are unfinished; return those that are."""
    while len(pending) >= limit:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return pending

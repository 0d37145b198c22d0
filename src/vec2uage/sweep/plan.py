"""How runs are laid over the machine: stacks, threads and devices. A plan changes the time, not the numbers.

On CPUs not a bit of them; on a GPU the last bits of a run may depend on the size of its stack.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from vec2uage.base.cores import cores, use_threads
from vec2uage.base.device import torch_device
from vec2uage.training.run_settings import Trainer

T = TypeVar("T")
# Runs per stack on a CPU unless it was measured. One core does best with the weights and gradients of a few runs in its
# cache: at the paper's size, 4 is best; 1 costs 14%, 20 costs a fifth more (docs/performance.md).
_CPU_STACK = 4
# Of a GPU's free memory that stacks are planned to fill: recorded steps keep what passes by in them.
_GPU_SHARE = 0.5
_GPU_GROUPS = 4  # that share the GPUs: while a stack of one waits for the host, those of the others compute


@dataclass(frozen=True)
class Plan:
    """On each of `devices` one stack of a group at a time, of at most `stack_size` runs, with `threads` CPU threads.

    So many `groups` share the devices. On GPUs a stack has `room` bytes, unless its size was asked for.
    """

    devices: tuple[torch.device, ...]
    threads: int
    stack_size: int
    groups: int = 1
    room: int | None = None

    @property
    def workers(self) -> int:
        """How many stacks train at the same time."""
        return len(self.devices) * self.groups


def devices_of(trainer: Trainer) -> tuple[torch.device, ...]:
    """Return the devices that a sweep may use: all GPUs for `auto` (where there is one) and `cuda`, else the one named.

    Raises UserError where there is no such device.
    """
    device = torch_device(trainer.device, "trainer.device")
    if device.type == "cuda" and device.index is None:
        return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))
    return (device,)


def make_plan(runs: int, trainer: Trainer, devices: Sequence[torch.device], available: int | None = None) -> Plan:
    """Plan the training of `runs` runs on so many CPU cores (None: on all), or on GPUs if `devices` are."""
    available = available or cores()
    if runs == 1:
        return Plan((devices[0],), available if trainer.threads == "auto" else trainer.threads, 1)
    if devices[0].type != "cpu":
        used = tuple(devices[:runs])
        fair = -(-runs // len(used))
        return Plan(used, 1, fair if trainer.stack_size == "auto" else trainer.stack_size)
    threads = 1 if trainer.threads == "auto" else trainer.threads
    workers = max(1, min(runs, available // threads))
    fair = -(-runs // workers)
    size = min(fair, _CPU_STACK) if trainer.stack_size == "auto" else trainer.stack_size
    return Plan(tuple(devices[:1]) * workers, threads, size)


def share_gpus(plan: Plan, groups: int, trainer: Trainer) -> Plan:
    """Return the plan of a sweep of so many groups on GPUs: how many of them train at once, and the room for each."""
    groups = min(_GPU_GROUPS, groups)
    room = int(_GPU_SHARE * free_bytes(plan.devices)) // groups if trainer.stack_size == "auto" else None
    return replace(plan, groups=groups, room=room)


def free_bytes(devices: Sequence[torch.device]) -> int:
    """Return how much memory is free on the fullest of these GPUs."""
    return min(torch.cuda.mem_get_info(device)[0] for device in devices)


class _CallingThread(Pool):
    """Runs each call at once, in the thread that submits it."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def worker_pool(plan: Plan) -> Pool:
    """Return what trains the stacks of a plan, each on `plan.threads` CPU threads.

    One stack at a time stays in the calling thread: a second Python thread would have OpenMP threads of its own, and
    with more of them than cores they go to sleep between operations, which costs a single run a third of its speed.
    """
    if plan.workers > 1:
        return ThreadPoolExecutor(plan.workers, initializer=use_threads, initargs=(plan.threads,))
    use_threads(plan.threads)
    return _CallingThread()


def split_evenly(items: Sequence[T], size: int, workers: int) -> list[list[T]]:
    """Split items into stacks of at most `size`, as equal as possible, so that no worker is left waiting for long."""
    stacks = -(-len(items) // size)
    if len(items) >= workers:
        stacks = -(-stacks // workers) * workers
    stacks = min(stacks, len(items))
    return [list(items[len(items) * k // stacks : len(items) * (k + 1) // stacks]) for k in range(stacks)]

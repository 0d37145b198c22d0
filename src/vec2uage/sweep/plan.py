"""How runs are laid over the machine: stacks, threads and workers. A plan changes the time, never a number."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from vec2uage.training.spec import Trainer

T = TypeVar("T")
# Runs per stack on a CPU. One core does best with the weights and gradients of a few runs in its cache: measured
# at the paper's size, 4 is best; 1 costs 14%, 20 costs a fifth more (docs/performance.md).
_CPU_STACK = 4


@dataclass(frozen=True)
class Plan:
    """`workers` stacks train at the same time, each of at most `stack_size` runs with `threads` CPU threads."""

    workers: int
    threads: int
    stack_size: int


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_plan(runs: int, trainer: Trainer, device: torch.device) -> Plan:
    """Plan the training of `runs` runs."""
    if runs == 1:
        return Plan(1, cores() if trainer.threads == "auto" else trainer.threads, 1)
    if device.type != "cpu":
        return Plan(1, 1, runs if trainer.stack_size == "auto" else trainer.stack_size)
    threads = 1 if trainer.threads == "auto" else trainer.threads
    workers = max(1, min(runs, cores() // threads))
    fair = -(-runs // workers)
    return Plan(workers, threads, min(fair, _CPU_STACK) if trainer.stack_size == "auto" else trainer.stack_size)


class _CallingThread(Executor):
    """Runs each call at once, in the thread that submits it."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def workers(plan: Plan) -> Executor:
    """Return what trains the stacks of a plan, each on `plan.threads` CPU threads.

    One stack at a time stays in the calling thread: a second Python thread would have OpenMP threads of its own, and
    with more of them than cores they go to sleep between operations, which costs a single run a third of its speed.
    """
    if plan.workers > 1:
        return ThreadPoolExecutor(plan.workers, initializer=torch.set_num_threads, initargs=(plan.threads,))
    torch.set_num_threads(plan.threads)
    return _CallingThread()


def cut(items: Sequence[T], size: int, workers: int) -> list[list[T]]:
    """Cut items into stacks of at most `size`, as equal as possible, so that no worker is left waiting for long."""
    stacks = -(-len(items) // size)
    if len(items) >= workers:
        stacks = -(-stacks // workers) * workers
    stacks = min(stacks, len(items))
    return [list(items[len(items) * k // stacks : len(items) * (k + 1) // stacks]) for k in range(stacks)]

"""Runs a function over many tasks in worker processes, and goes on when a task kills its process."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Event
from typing import Any, TypeVar

R = TypeVar("R")


def run(
    function: Callable[..., R],
    tasks: Sequence[tuple[Any, ...]],
    workers: int,
    initializer: Callable[..., None],
    initargs: tuple[Any, ...],
    ahead: int,
    stop: Event,
) -> Iterator[tuple[tuple[Any, ...], R | None]]:
    """Yield each task (the arguments of `function`) with its result, as they are done; None if it kills its process.

    At most `ahead` results wait to be taken. Ends early, after the tasks under way, when `stop` is set.
    """

    def new_pool(size: int) -> ProcessPoolExecutor:
        # not fork: a copy of a process that has run torch's threads can hang
        context = get_context("forkserver")
        context.set_forkserver_preload([initializer.__module__])
        return ProcessPoolExecutor(size, context, initializer, initargs)

    waiting = deque(tasks)
    while waiting and not stop.is_set():
        under_way: dict[Future[R], tuple[Any, ...]] = {}
        with new_pool(min(workers, len(waiting))) as pool:
            try:
                while (waiting and not stop.is_set()) or under_way:
                    while waiting and len(under_way) < ahead and not stop.is_set():
                        task = waiting.popleft()
                        under_way[pool.submit(function, *task)] = task
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        yield under_way.pop(future), result
            except BrokenProcessPool:  # one of these did it: each gets a process of its own
                suspects = list(under_way.values())
            else:
                continue
        for task in suspects:
            with new_pool(1) as pool:
                try:
                    yield task, pool.submit(function, *task).result()
                except BrokenProcessPool:
                    yield task, None

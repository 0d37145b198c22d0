"""Runs a function over many tasks in worker processes, and goes on when a task kills its process."""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, get_context
from threading import Event
from typing import Any, Literal, TypeVar

from vec2uage.base.cores import cores
from vec2uage.base.errors import UserError

R = TypeVar("R")
_STOP_SECONDS = 0.5  # until a stop is noticed while no task ends


def processes(workers: int | Literal["auto"]) -> int:
    """Return the number of worker processes that an option `workers` means; `auto` is one for each usable core."""
    return cores() if workers == "auto" else workers


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

    At most `ahead` results wait to be taken. Ends early, after the tasks that have begun, when `stop` is set. Raises
    what a task raises, and UserError when no worker process can start.
    """
    waiting, suspects = deque(tasks), deque[tuple[Any, ...]]()
    while (waiting or suspects) and not stop.is_set():
        # When a process was killed, any of the tasks under way may have done it: they go on one by one.
        alone = bool(suspects)
        queue, size, most = (suspects, 1, 1) if alone else (waiting, min(workers, len(waiting)), ahead)
        under_way: dict[Future[R], tuple[Any, ...]] = {}
        pool = _new_pool(size, initializer, initargs)
        try:
            if alone:
                _check(pool)
            while queue or under_way:
                if stop.is_set():
                    queue.clear()
                    for future in [future for future in under_way if future.cancel()]:
                        del under_way[future]
                while queue and len(under_way) < most:
                    under_way[_submit(pool, function, queue[0])] = queue[0]
                    queue.popleft()
                for future in wait(under_way, _STOP_SECONDS, FIRST_COMPLETED).done:
                    result = future.result()
                    yield under_way.pop(future), result
        except BrokenProcessPool:
            if alone and under_way:
                yield next(iter(under_way.values())), None
            else:
                suspects.extend(under_way.values())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()


def _new_pool(size: int, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> ProcessPoolExecutor:
    # not fork: a copy of a process that has run torch's threads can hang
    context = get_context("forkserver")
    context.set_forkserver_preload([initializer.__module__])
    # While it starts, the server would die of a Ctrl-C that is meant for its parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return ProcessPoolExecutor(size, context, initializer, initargs)


def _submit(pool: ProcessPoolExecutor, function: Callable[..., R], task: tuple[Any, ...]) -> "Future[R]":
    try:
        return pool.submit(function, *task)
    except OSError:
        # A pool that breaks at this moment has closed the pipes that its next process was to get, and says so if asked
        # once more.
        return pool.submit(function, *task)


def _check(pool: ProcessPoolExecutor) -> None:
    """Tell a task that kills its process from processes that cannot start at all."""
    try:
        pool.submit(_nothing).result()
    except BrokenProcessPool:
        raise UserError("worker processes cannot start; the messages above say why") from None


def _nothing() -> None:
    """Do nothing, in a worker process."""

"""Runs a function over many tasks in worker processes, and goes on when a task kills its process.

Each process has a pipe of its own, which a thread here serves: what a killed process has written by half is lost to no
other, and the task that it was at is known. The processes of a ProcessPoolExecutor share one pipe for all results, so
that it waits for the other half for ever.
"""

import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, Literal, TypeVar

from vec2uage.base.cores import cores
from vec2uage.base.errors import UserError

R = TypeVar("R")
Task = tuple[Any, ...]

# not fork: a copy of a process that has run torch's threads can hang
_context = get_context("forkserver")


def processes(workers: int | Literal["auto"]) -> int:
    """Return the number of worker processes that an option `workers` means; `auto` is one for each usable core."""
    return cores() if workers == "auto" else workers


def run(
    function: Callable[..., R],
    tasks: Iterable[Task],
    workers: int,
    initializer: Callable[..., None],
    initargs: Task,
    ahead: int,
    stop: Event,
) -> Iterator[tuple[Task, R | None]]:
    """Yield each task (the arguments of `function`) with its result, as they are done; None if it kills its process.

    As `stream`, for a function with one result.
    """
    return stream(partial(_only, function), tasks, workers, initializer, initargs, ahead, stop)


def stream(
    function: Callable[..., Iterator[R]],
    tasks: Iterable[Task],
    workers: int,
    initializer: Callable[..., None],
    initargs: Task,
    ahead: int,
    stop: Event,
) -> Iterator[tuple[Task, R | None]]:
    """Yield each task (the arguments of `function`) with each result that it yields; None if it kills its process.

    Results of one task come in their order, those of several tasks mixed. A task whose process was killed is tried once
    more when all others are done, alone and from its beginning: the others may have taken the memory that it needs.

    At most `ahead` tasks are taken from `tasks` before they are done, and at most `ahead` results wait to be taken.
    Ends early, after the results under way, when `stop` is set. Raises what a task raises, and UserError when no worker
    process can start.
    """
    _start_server(initializer.__module__)
    start_worker = partial(_Worker, function, initializer, initargs)
    killed: list[Task] = []
    for task, result in _results(start_worker, tasks, workers, ahead, stop):
        if isinstance(result, _Killed):
            killed.append(task)
        else:
            yield task, result
    for task, result in _results(start_worker, killed, 1, ahead, stop):
        yield task, None if isinstance(result, _Killed) else result


class _Killed:
    """Stands for the result of a task whose process was killed."""


class _Worker:
    """A worker process and our end of its pipe."""

    def __init__(self, *how: Any) -> None:
        """Start a process, which works as `how` says (see `_work`)."""
        self._pipe, theirs = _context.Pipe()
        self.process = _context.Process(target=_work, args=(theirs, *how), daemon=True)
        self.process.start()
        theirs.close()  # the pipe is to end with the process

    def wait_until_ready(self) -> None:
        """Raise UserError where the process has ended before its first task."""
        try:
            self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise UserError("worker processes cannot start; the messages above say why") from None

    def do(self, task: Task) -> Iterator[Any]:
        """Yield the results of a task, and `_Killed` where its process is; raises what the task raises."""
        with suppress(OSError):  # of a killed process; reading says so, too
            self._pipe.send(task)
        while (answer := self._answer()) is not None:
            result, error = answer
            if error is not None:
                raise error
            yield result

    def _answer(self) -> tuple[Any, Exception | None] | None:
        """Return what the process sends next: a result or an exception, None at the end of a task."""
        try:
            answer: tuple[Any, Exception | None] | None = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            return _Killed(), None
        return answer

    def end(self) -> None:
        """End the process, also in the middle of a task."""
        self._pipe.close()
        self.process.kill()
        self.process.join()


def _results(
    start_worker: Callable[[], _Worker], tasks: Iterable[Task], workers: int, ahead: int, stop: Event
) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its results, the last one `_Killed` where its process was."""
    waiting, room, ended = SimpleQueue[Task | None](), Semaphore(ahead), Event()  # None: there are no more
    done = SimpleQueue[tuple[Task, Any] | BaseException | None]()  # None: a task is done
    started: list[_Worker] = []

    def is_over() -> bool:
        return stop.is_set() or ended.is_set()

    def results_of(task: Task, worker: _Worker | None) -> _Worker | None:
        """Have a task done by a process, a new one where there is none; return it, None where it was killed."""
        if worker is None:
            worker = start_worker()
            started.append(worker)
            worker.wait_until_ready()
        for result in worker.do(task):
            room.acquire()
            done.put((task, result))
            if isinstance(result, _Killed) or is_over():
                worker.end()
                return None
        return worker

    def serve() -> None:
        """Give tasks to a process, and to another one where it is killed, until there are no more."""
        worker: _Worker | None = None
        while (task := waiting.get()) is not None:
            try:
                if not is_over():
                    worker = results_of(task, worker)
                done.put(None)
            except BaseException as error:
                done.put(None if is_over() else error)  # a process may have been told to stop while it started
        if worker is not None:
            worker.end()

    # Neither threads nor processes are waited for where the caller ends with an error.
    threads = [Thread(target=serve, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    more, under_way = iter(tasks), 0
    try:
        while True:
            # tasks are taken here, in the caller's thread, and so many beforehand that no process waits for the caller
            while under_way < ahead and not stop.is_set() and (task := next(more, None)) is not None:
                waiting.put(task)
                under_way += 1
            if not under_way:
                break
            taken = done.get()
            if taken is None:
                under_way -= 1
            elif isinstance(taken, BaseException):
                raise taken
            else:
                room.release()
                yield taken
        for _ in threads:
            waiting.put(None)
        for thread in threads:
            thread.join()
    finally:
        ended.set()
        for _ in threads:
            room.release()
            waiting.put(None)
        for worker in started:
            if worker.process.is_alive():
                worker.process.kill()


def _only(function: Callable[..., R], *task: Any) -> Iterator[R]:
    yield function(*task)


def _work(
    pipe: Connection, function: Callable[..., Iterator[Any]], initializer: Callable[..., None], initargs: Task
) -> None:
    """Be a worker process: answer tasks (see `_answers`) until the pipe ends."""
    initializer(*initargs)
    with suppress(EOFError, OSError):  # of the pipe: nobody waits for answers any more
        pipe.send_bytes(b"ready")
        while True:
            for answer in _answers(function, pipe.recv()):
                pipe.send_bytes(answer)


def _answers(function: Callable[..., Iterator[Any]], task: Task) -> Iterator[bytes]:
    """Yield what a process sends for a task: a `(result, exception)` for each result, and then None."""
    try:
        for result in function(*task):
            yield pickle.dumps((result, None))
    except Exception as error:
        error.add_note(f"in a worker process: {traceback.format_exc()}")
        yield pickle.dumps((None, error))
    else:
        yield pickle.dumps(None)


def _start_server(module: str) -> None:
    """Start the process of which all others are copies; it has imported `module`."""
    _context.set_forkserver_preload([module])
    # While it starts, it would die of a Ctrl-C that is meant for its parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

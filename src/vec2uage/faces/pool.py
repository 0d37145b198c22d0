"""Runs a function over many tasks in worker processes, and goes on when a task kills its process.

Each process has a pipe of its own, which a thread here serves: what a killed process has written by half is lost to no
other, and the task that it was at is known. The processes of a ProcessPoolExecutor share one pipe for all results, so
that it waits for the other half for ever.
"""

import pickle
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
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
    tasks: Sequence[Task],
    workers: int,
    initializer: Callable[..., None],
    initargs: Task,
    ahead: int,
    stop: Event,
) -> Iterator[tuple[Task, R | None]]:
    """Yield each task (the arguments of `function`) with its result, as they are done; None if it kills its process.

    A task whose process was killed is tried once more when all others are done, alone: the others may have taken the
    memory that it needs. At most `ahead` results wait to be taken. Ends early, after the tasks that have begun, when
    `stop` is set. Raises what a task raises, and UserError when no worker process can start.
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

    def __init__(self, function: Callable[..., Any], initializer: Callable[..., None], initargs: Task) -> None:
        self._pipe, theirs = _context.Pipe()
        self.process = _context.Process(target=_work, args=(theirs, function, initializer, initargs), daemon=True)
        self.process.start()
        theirs.close()  # the pipe is to end with the process

    def wait_until_ready(self) -> None:
        """Raise UserError where the process has ended before its first task."""
        try:
            self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise UserError("worker processes cannot start; the messages above say why") from None

    def do(self, task: Task) -> Any:
        """Return the result of a task, or `_Killed`; raises what the task raises."""
        try:
            self._pipe.send(task)
            result, error = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            return _Killed()
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Let the process end by itself, where it has not."""
        self._pipe.close()
        self.process.join()


def _results(
    start_worker: Callable[[], _Worker], tasks: Sequence[Task], workers: int, ahead: int, stop: Event
) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its result, or `_Killed`, as they are done."""
    waiting, room = deque(tasks), Semaphore(ahead)
    done = SimpleQueue[tuple[Task, Any] | BaseException | None]()  # None: a thread has ended
    started: list[_Worker] = []

    def serve() -> None:
        """Give tasks to a process, and to another one where it is killed, until none is left."""
        worker: _Worker | None = None
        try:
            while not stop.is_set():
                room.acquire()
                try:
                    task = waiting.popleft()
                except IndexError:
                    break
                if worker is None:
                    worker = start_worker()
                    started.append(worker)
                    worker.wait_until_ready()
                result = worker.do(task)
                if isinstance(result, _Killed):
                    worker.end()
                    worker = None
                done.put((task, result))
        except BaseException as error:
            if not stop.is_set():  # else a process may have been told to stop while it started
                done.put(error)
        if worker is not None:
            worker.end()
        done.put(None)

    # Neither threads nor processes are waited for where the caller ends with an error.
    threads = [Thread(target=serve, daemon=True) for _ in range(min(workers, len(tasks)))]
    for thread in threads:
        thread.start()
    serving = len(threads)
    try:
        while serving:
            taken = done.get()
            if taken is None:
                serving -= 1
            elif isinstance(taken, BaseException):
                raise taken
            else:
                room.release()
                yield taken
    finally:
        waiting.clear()
        for _ in threads:
            room.release()
        for worker in started:
            if worker.process.is_alive():
                worker.process.kill()


def _work(pipe: Connection, function: Callable[..., Any], initializer: Callable[..., None], initargs: Task) -> None:
    """Be a worker process: answer tasks with `(result, exception)` until the pipe ends."""
    initializer(*initargs)
    pipe.send_bytes(b"ready")
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = pickle.dumps((function(*task), None))
        except Exception as error:
            error.add_note(f"in a worker process: {traceback.format_exc()}")
            answer = pickle.dumps((None, error))
        pipe.send_bytes(answer)


def _start_server(module: str) -> None:
    """Start the process of which all others are copies; it has imported `module`."""
    _context.set_forkserver_preload([module])
    # While it starts, it would die of a Ctrl-C that is meant for its parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""Sweeps in processes of this machine, by joblib."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vec2uage.base.access import open_to_write
from vec2uage.config.settings import PositiveInt, settings
from vec2uage.sweep.executors.base import Executor
from vec2uage.sweep.executors.chunks import Handle, Stoppable, follow, logs_of, split_into_chunks, train_chunk
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.plan import cores
from vec2uage.sweep.state import SweepResult


@settings
class Joblib(Executor):
    """Trains in processes of this machine, with one CPU thread each."""

    processes: PositiveInt | Literal["auto"]

    def train(self, jobs: Sequence[Job], command: str, until: int | None = None) -> SweepResult:
        from joblib.externals.loky import ProcessPoolExecutor

        if not jobs:
            return SweepResult()
        count = cores() if self.processes == "auto" else self.processes
        log = (logs_of(jobs) / ".joblib.log").absolute()

        def pool(size: int) -> Any:
            return ProcessPoolExecutor(size, initializer=redirect_to_file, initargs=(log,))

        pools = [pool(count)]
        signalled: set[int] = set()  # a second signal would end a process at once

        def stop() -> None:
            for process in [process for used in pools for process in list(used._processes) if process not in signalled]:
                signalled.add(process)
                os.kill(process, signal.SIGTERM)

        def submit(chunk: Sequence[Job]) -> Handle:
            return Stoppable(pools[-1].submit(train_chunk, list(chunk), command, 1, Path.cwd(), until), stop)

        def once_more(chunk: Sequence[Job]) -> Handle:
            # A process that is killed takes all others of its pool with it: alone, the chunk that did it shows itself.
            pools.append(pool(1))
            return submit(chunk)

        try:
            return follow(jobs, command, split_into_chunks(jobs, -(-len(jobs) // count)), submit, once_more, until)
        finally:
            for used in pools:
                used.shutdown(wait=True, kill_workers=True)


def redirect_to_file(log: Path) -> None:
    """Let all that this process prints go to a file; Ctrl-C is for its parent to pass on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open_to_write(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

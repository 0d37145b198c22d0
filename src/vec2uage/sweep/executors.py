"""Who trains the jobs of a sweep: this process, others on this machine, or a cluster; named by `hydra/launcher=`.

Other processes get parts of a sweep: fused groups, not single runs. Results travel through the run folders, where also
the states lie that a part which is given out once more goes on from. No executor changes a number.
"""

import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from vec2uage.base.cli import interruptible
from vec2uage.config.settings import settings
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.display import Display
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.plan import cores, cut
from vec2uage.sweep.resume import ENDED, Refused
from vec2uage.sweep.work import Finished, Work
from vec2uage.sweep.worker import end_untrained, headers

Count = Annotated[int, Field(ge=1)]
_POLL_SECONDS = 0.5  # between two looks for runs that have ended elsewhere
_ASK_SECONDS = 10  # between two questions to Slurm whether a job is still there
_END_SECONDS = 60  # that workers have to end after Ctrl-C; Slurm kills after 30 by default


@settings
class Executor:
    """Trains jobs in this process."""

    def check(self) -> None:
        """Raise Refused where this executor cannot work here."""

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        """Train all jobs, each into its own folder; one that fails stops no other."""
        return train_jobs(jobs, command)


@settings
class Joblib(Executor):
    """Trains in processes of this machine, with one CPU thread each."""

    processes: Count | Literal["auto"]

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        from joblib.externals.loky import ProcessPoolExecutor

        if not jobs:
            return Finished()
        count = cores() if self.processes == "auto" else self.processes
        log = jobs[0].folder.parent / ".joblib.log"

        def pool(size: int) -> Any:
            return ProcessPoolExecutor(size, initializer=into_file, initargs=(log,))

        pools = [pool(count)]
        told: set[int] = set()  # a second signal would end a process at once

        def stop() -> None:
            for process in [process for used in pools for process in list(used._processes) if process not in told]:
                told.add(process)
                os.kill(process, signal.SIGTERM)

        def submit(part: Sequence[Job]) -> Handle:
            return Stoppable(pools[-1].submit(train_part, list(part), command, 1), stop)

        def once_more(part: Sequence[Job]) -> Handle:
            # A process that is killed takes all others of its pool with it: alone, the part that did it shows itself.
            pools.append(pool(1))
            return submit(part)

        try:
            return _follow(jobs, command, parts(jobs, -(-len(jobs) // count)), submit, once_more)
        finally:
            for used in pools:
                used.shutdown(wait=True, kill_workers=True)


@settings
class SubmititLocal(Executor):
    """Trains in jobs of submitit on this machine, all at the same time: to try what a cluster would do."""

    runs_per_job: Count
    cpus_per_task: Count
    timeout_min: Count
    max_timeouts: Annotated[int, Field(ge=0)]

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        if not jobs:
            return Finished()
        executor = self.executor(jobs[0].folder.parent / ".submitit")
        pieces = parts(jobs, self.runs_per_job)
        with beyond_ctrl_c(), executor.batch():  # one array on a cluster
            submitted = [executor.submit(Part(piece, command, self.cpus_per_task)) for piece in pieces]
        handles = dict(zip(map(id, pieces), submitted, strict=True))
        return _follow(jobs, command, pieces, lambda piece: self.handle(handles[id(piece)]))

    def check(self) -> None:
        _library("submitit")

    def handle(self, job: Any) -> "Handle":
        """Return how to look at a job of submitit."""
        return LocalJob(job)

    def executor(self, folder: Path) -> Any:
        """Return submitit's executor, which keeps its own files in `folder`."""
        submitit = _library("submitit")
        executor = submitit.AutoExecutor(folder, cluster="local", local_max_num_timeout=self.max_timeouts)
        executor.update_parameters(timeout_min=self.timeout_min, cpus_per_task=self.cpus_per_task)
        return executor


@settings
class SubmititSlurm(SubmititLocal):
    """Trains in the jobs of one Slurm array; a job that runs out of time is queued again and goes on."""

    gpus_per_node: Annotated[int, Field(ge=0)]
    mem_gb: Annotated[float, Field(gt=0)] | None
    partition: str | None
    account: str | None
    array_parallelism: Count
    setup: tuple[str, ...]
    additional_parameters: dict[str, str | int | float | bool]

    def check(self) -> None:
        super().check()
        if shutil.which("srun") is None:
            raise Refused("hydra/launcher = submitit_slurm: there is no srun here: type this on a cluster")

    def handle(self, job: Any) -> "Handle":
        return SlurmJob(job)

    def executor(self, folder: Path) -> Any:
        executor = _library("submitit").AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=self.max_timeouts)
        options = {
            "name": "vec2uage",
            "timeout_min": self.timeout_min,
            "cpus_per_task": self.cpus_per_task,
            "gpus_per_node": self.gpus_per_node or None,
            "mem_gb": self.mem_gb,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_array_parallelism": self.array_parallelism,
            "slurm_setup": list(self.setup),
            "slurm_additional_parameters": dict(self.additional_parameters),
        }
        executor.update_parameters(**{name: value for name, value in options.items() if value is not None})
        return executor


@settings
class Ray(Executor):
    """Trains in tasks of a Ray cluster."""

    address: str | None
    runs_per_job: Count
    cpus_per_task: Count
    gpus_per_task: Annotated[float, Field(ge=0)]

    def check(self) -> None:
        _library("ray")

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        if not jobs:
            return Finished()
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # or it writes a token into the user's home
        ray = _library("ray")
        ray.init(address=self.address, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        task = ray.remote(num_cpus=self.cpus_per_task, num_gpus=self.gpus_per_task, max_retries=0)(train_part)

        def submit(part: Sequence[Job]) -> Handle:
            reference = task.remote(list(part), command, self.cpus_per_task)
            return Stoppable(reference.future(), lambda: ray.cancel(reference))

        try:
            return _follow(jobs, command, parts(jobs, self.runs_per_job), submit)
        finally:
            ray.shutdown()


class Handle(Protocol):
    """A part under way elsewhere, as futures and submitit's jobs show it."""

    def done(self) -> bool: ...

    def exception(self) -> BaseException | None: ...

    def cancel(self) -> object: ...


@dataclass
class Stoppable:
    """A future whose task can be told to end, with what its runs have, once it has begun."""

    future: Any
    stop: Callable[[], object]

    def done(self) -> bool:
        return bool(self.future.done())

    def exception(self) -> BaseException | None:
        error: BaseException | None = self.future.exception()
        return error

    def cancel(self) -> None:
        if not self.future.cancel():
            self.stop()


@dataclass
class LocalJob:
    """A job of submitit on this machine."""

    job: Any

    def done(self) -> bool:
        return bool(self.job.done())

    def exception(self) -> BaseException | None:
        if self.job.paths.result_pickle.exists():
            error: BaseException | None = self.job.exception()
            return error
        return RuntimeError(f"job {self.job.job_id} was killed, perhaps for want of memory")

    def cancel(self) -> None:
        os.kill(int(self.job.job_id), signal.SIGTERM)  # its id is that of the process, which passes this on


@dataclass
class SlurmJob(LocalJob):
    """A job in Slurm's queue, whose end is seen without the accounting that not every cluster keeps."""

    state: str = "PENDING"
    asked: float = float("-inf")

    def done(self) -> bool:
        if self.job.paths.result_pickle.exists():
            return True
        if time.monotonic() - self.asked > _ASK_SECONDS:
            self.asked = time.monotonic()
            self.state = self._ask()
        return self.state in _OVER

    def exception(self) -> BaseException | None:
        if self.job.paths.result_pickle.exists():
            return super().exception()
        return RuntimeError(f"Slurm's job {self.job.job_id} is {self.state}")

    def cancel(self) -> None:
        self.job.cancel(check=False)
        self.asked = float("-inf")

    def _ask(self) -> str:
        command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={self.job.job_id}", "--format=%T"]
        asked = subprocess.run(command, capture_output=True, text=True)
        if asked.returncode == 0:
            return asked.stdout.strip() or "GONE"
        return "GONE" if "Invalid job id" in asked.stderr else self.state  # else Slurm does not answer: ask later


_OVER = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "GONE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
)  # fmt: skip


class Part:
    """A part of a sweep as submitit calls it, and hands it in again when its time is over."""

    def __init__(self, jobs: Sequence[Job], command: str, cores: int) -> None:
        self.jobs, self.command, self.cores = list(jobs), command, cores

    def __call__(self) -> None:
        # Beside the main thread, which is submitit's: its signals, of which some also mean Ctrl-C, come there.
        errors: list[BaseException] = []

        def work() -> None:
            try:
                train_part(self.jobs, self.command, self.cores)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":  # on a cluster it comes before a job is handed in again
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.2)
        except SystemExit as end:
            # It is handed in again. Python would wait for the threads that train; run folders are whole at any moment.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 1)
        if errors:
            raise errors[0]

    def checkpoint(self) -> Any:
        """Tell submitit what to call next time: the same, as every run goes on from its own state."""
        return _library("submitit").helpers.DelayedSubmission(self)


def train_part(jobs: Sequence[Job], command: str, cores: int) -> None:
    """Train those of `jobs` that have not ended yet, on so many CPU cores; called in other processes."""
    train_jobs([job for job in jobs if not _has_ended(job)], command, cores)


def parts(jobs: Sequence[Job], most: int) -> list[list[Job]]:
    """Cut a sweep, its groups one after the other, into parts of at most `most` jobs; small groups share a part."""
    ordered = [job for members in group(jobs, headers(jobs)) for job in members]
    return cut(ordered, most, 1) if ordered else []


def into_file(log: Path) -> None:
    """Let all that this process prints go to a file; Ctrl-C is for its parent to pass on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)


@contextmanager
def beyond_ctrl_c() -> Iterator[None]:
    """Start processes in the block that the terminal's Ctrl-C does not reach: they have its signal blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(
    jobs: Sequence[Job],
    command: str,
    pieces: Sequence[Sequence[Job]],
    submit: Callable[[Sequence[Job]], Handle],
    once_more: Callable[[Sequence[Job]], Handle] | None = None,
) -> Finished:
    """Give out all parts, show which runs end, and return how all of them ended.

    What a part that broke has not ended fails with the reason, after a second try with `once_more`. The first Ctrl-C or
    SIGTERM cancels all parts.
    """
    with interruptible() as interrupt, Display(jobs) as display:
        work = Work(display, interrupt, command, {})
        under_way = []
        try:
            with beyond_ctrl_c():
                under_way = [(submit(piece), piece, once_more) for piece in pieces]
            while under_way and not interrupt.is_set():
                _look(jobs, work)
                time.sleep(_POLL_SECONDS)
                for entry in [entry for entry in under_way if entry[0].done()]:
                    under_way.remove(entry)
                    handle, piece, again = entry
                    error = handle.exception()
                    _look(piece, work, last=True)
                    left = [job for job in piece if job not in work.finished.results]
                    if left and again is not None:
                        under_way.append((again(left), left, None))
                        continue
                    for job in left:
                        end_untrained(job, "failed", f"its worker broke off: {_reason(error)}", work)
        finally:
            for handle, _, _ in under_way:
                handle.cancel()
        # What is written below would be written over by a worker that still ends a run.
        deadline = time.monotonic() + _END_SECONDS
        while not all(handle.done() for handle, _, _ in under_way) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        work.finished.interrupted = interrupt.is_set()
        _look(jobs, work, last=True)
        for job in jobs:
            if job not in work.finished.results:
                end_untrained(job, "interrupted", "interrupted with the sweep", work)
    return work.finished


def _look(jobs: Sequence[Job], work: Work, last: bool = False) -> None:
    """Take down which runs have ended elsewhere; an interrupted one goes on if its part is handed out again."""
    for job in jobs:
        folder = RunFolder(job.folder)
        if last:
            list(job.folder.iterdir())  # a disk of the network shows a new file only to those who list its folder
        if job not in work.finished.results and folder.result.exists():
            result = folder.read_result()
            if last or result.status != "interrupted":
                work.end(job, result)


def _has_ended(job: Job) -> bool:
    return RunFolder(job.folder).result.exists() and RunFolder(job.folder).read_result().status in ENDED


def _reason(error: BaseException | None) -> str:
    return (
        "it ended without a result"
        if error is None
        else f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
    )


def _library(name: str) -> Any:
    logging.getLogger(name).setLevel(logging.ERROR)  # submitit warns at every look where a cluster keeps no accounts
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Refused(f"this launcher needs {name}, which is not installed: pip install 'vec2uage[{name}]'") from None

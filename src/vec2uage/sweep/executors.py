"""Who trains the jobs of a sweep: this process, others on this machine, or a cluster; named by `hydra/launcher=`.

Other processes get parts of a sweep: fused groups, not single runs. Results travel through the run folders, where also
the states lie that a part which is given out once more goes on from. No executor changes a number.
"""

import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from vec2uage.base.cli import interruptible
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.display import Display
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job, group
from vec2uage.sweep.plan import cores, cut
from vec2uage.sweep.resume import ENDED
from vec2uage.sweep.work import Finished, Work
from vec2uage.sweep.worker import end_untrained, headers

Count = Annotated[int, Field(ge=1)]
_POLL_SECONDS = 0.5  # between two looks for runs that have ended elsewhere


@settings
class Executor:
    """Trains jobs in this process."""

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        """Train all jobs, each into its own folder; one that fails stops no other."""
        return train_jobs(jobs, command)


@settings
class Joblib(Executor):
    """Trains in processes of this machine, with one CPU thread each."""

    processes: Count | Literal["auto"]

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        from joblib.externals.loky import ProcessPoolExecutor

        count = cores() if self.processes == "auto" else self.processes
        pools = [ProcessPoolExecutor(count)]

        def submit(part: Sequence[Job]) -> Handle:
            handle: Handle = pools[-1].submit(train_part, list(part), command, 1)
            return handle

        def once_more(part: Sequence[Job]) -> Handle:
            # A process that is killed takes all others of its pool with it: alone, the part that did it shows itself.
            pools.append(ProcessPoolExecutor(1))
            return submit(part)

        try:
            return _follow(jobs, command, parts(jobs, -(-len(jobs) // count)), submit, once_more)
        finally:
            for pool in pools:
                pool.shutdown(wait=False, kill_workers=True)


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
        with executor.batch():  # one array on a cluster
            submitted = [executor.submit(Part(piece, command, self.cpus_per_task)) for piece in pieces]
        handles = dict(zip(map(id, pieces), submitted, strict=True))
        return _follow(jobs, command, pieces, lambda piece: handles[id(piece)])

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

    def executor(self, folder: Path) -> Any:
        submitit = _library("submitit")
        try:
            executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=self.max_timeouts)
        except RuntimeError:
            raise UserError("hydra/launcher = submitit_slurm: there is no srun here: type this on a cluster") from None
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

    def train(self, jobs: Sequence[Job], command: str) -> Finished:
        ray = _library("ray")
        ray.init(address=self.address, log_to_driver=False, ignore_reinit_error=True)
        task = ray.remote(num_cpus=self.cpus_per_task, num_gpus=self.gpus_per_task, max_retries=0)(train_part)

        def submit(part: Sequence[Job]) -> Handle:
            handle: Handle = task.remote(list(part), command, self.cpus_per_task).future()
            return handle

        try:
            return _follow(jobs, command, parts(jobs, self.runs_per_job), submit)
        finally:
            ray.shutdown()


class Handle(Protocol):
    """A part under way elsewhere, as futures and submitit's jobs show it."""

    def done(self) -> bool: ...

    def exception(self) -> BaseException | None: ...

    def cancel(self) -> object: ...


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
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
        if errors:
            raise errors[0]

    def checkpoint(self) -> Any:
        """Tell submitit what to call next time: the same, as every run goes on from its own state."""
        return _library("submitit").helpers.DelayedSubmission(self)


def train_part(jobs: Sequence[Job], command: str, cores: int) -> None:
    """Train those of `jobs` that have not ended yet, on so many CPU cores; called in other processes."""
    train_jobs([job for job in jobs if not _has_ended(job)], command, cores)


def parts(jobs: Sequence[Job], most: int) -> list[list[Job]]:
    """Cut the groups of a sweep into parts of at most `most` jobs that train as stacks."""
    return [part for members in group(jobs, headers(jobs)) for part in cut(members, most, 1)]


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
        under_way = [(submit(piece), piece, once_more) for piece in pieces]
        while under_way and not interrupt.is_set():
            _look(jobs, work)
            time.sleep(_POLL_SECONDS)
            for entry in [entry for entry in under_way if entry[0].done()]:
                under_way.remove(entry)
                handle, piece, again = entry
                _look(piece, work)
                error = handle.exception()
                left = [job for job in piece if job not in work.finished.results]
                if left and again is not None:
                    under_way.append((again(left), left, None))
                    continue
                for job in left:
                    end_untrained(job, "failed", f"its worker broke off: {_reason(error)}", work)
        for handle, _, _ in under_way:
            handle.cancel()
        work.finished.interrupted = interrupt.is_set()
        _look(jobs, work)
        for job in jobs:
            if job not in work.finished.results:
                end_untrained(job, "interrupted", "interrupted with the sweep", work)
    return work.finished


def _look(jobs: Sequence[Job], work: Work) -> None:
    """Take down which runs have ended elsewhere."""
    for job in jobs:
        if job not in work.finished.results and RunFolder(job.folder).result.exists():
            work.end(job, RunFolder(job.folder).read_result())


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
        raise UserError(f"this launcher needs {name}, which is not installed: pip install 'vec2uage[{name}]'") from None

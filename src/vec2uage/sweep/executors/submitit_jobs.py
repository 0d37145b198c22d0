"""Sweeps in jobs of submitit: on a Slurm cluster, or, to try what that would do, on this machine."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.config.settings import PositiveInt, settings
from vec2uage.sweep.executors.base import Executor, library
from vec2uage.sweep.executors.chunks import Handle, beyond_ctrl_c, follow, logs_of, split_into_chunks, train_chunk
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.state import SweepResult

log = logging.getLogger(__name__)

_GPUS = "CUDA_VISIBLE_DEVICES"
_NO_NEWS = ("None", "JobArrayTaskLimit")  # reasons to wait: the second is `array_parallelism`
_ASK_SECONDS = 10  # between two questions to Slurm whether a job is still there


@settings
class SubmititLocal(Executor):
    """Trains in jobs of submitit on this machine, all at the same time: to try what a cluster would do."""

    runs_per_job: PositiveInt
    cpus_per_task: PositiveInt
    timeout_min: PositiveInt
    max_timeouts: Annotated[int, Field(ge=0)]

    def train(self, jobs: Sequence[Job], command: str, until: int | None = None) -> SweepResult:
        if not jobs:
            return SweepResult()
        executor = self.executor(logs_of(jobs) / ".submitit")
        chunks = split_into_chunks(jobs, self.runs_per_job)
        try:
            with beyond_ctrl_c(), executor.batch():  # one array on a cluster
                submitted = [executor.submit(ChunkTask(chunk, command, self.cpus_per_task, until)) for chunk in chunks]
        except library("submitit.core.utils").FailedJobError as error:
            raise UserError(f"the cluster does not take the jobs: {str(error).strip().splitlines()[-1]}") from None
        handles = dict(zip(map(id, chunks), submitted, strict=True))
        return follow(jobs, command, chunks, lambda chunk: self.handle(handles[id(chunk)]), until=until)

    def check(self) -> None:
        library("submitit")

    def handle(self, job: Any) -> Handle:
        """Return how to look at a job of submitit."""
        return LocalJob(job)

    def executor(self, folder: Path) -> Any:
        """Return submitit's executor, which keeps its own files in `folder`."""
        submitit = library("submitit")
        executor = submitit.AutoExecutor(folder, cluster="local", local_max_num_timeout=self.max_timeouts)
        executor.update_parameters(timeout_min=self.timeout_min, cpus_per_task=self.cpus_per_task)
        return executor


@settings
class SubmititSlurm(SubmititLocal):
    """Trains in the jobs of one Slurm array; a job that runs out of time is queued again and goes on."""

    here = False
    gpus_per_node: Annotated[int, Field(ge=0)]
    mem_gb: Annotated[float, Field(gt=0)] | None
    partition: str | None
    account: str | None
    array_parallelism: PositiveInt
    setup: tuple[str, ...]
    additional_parameters: dict[str, str | int | float | bool]

    def check(self) -> None:
        super().check()
        if shutil.which("srun") is None:
            raise UserError("hydra/launcher = submitit_slurm: there is no srun here: type this on a cluster")

    def handle(self, job: Any) -> Handle:
        return SlurmJob(job)

    def executor(self, folder: Path) -> Any:
        executor = library("submitit").AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=self.max_timeouts)
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


class ChunkTask:
    """A chunk of a sweep as submitit calls it, and hands it in again when its time is over."""

    def __init__(self, jobs: Sequence[Job], command: str, cores: int, until: int | None = None) -> None:
        self.jobs, self.command, self.cores, self.folder = list(jobs), command, cores, Path.cwd()
        self.until = until
        self.gpus = os.environ.get(_GPUS)

    def __call__(self) -> None:
        # Beside the main thread, which is submitit's: its signals, of which some also mean Ctrl-C, come there.
        errors: list[BaseException] = []

        def train() -> None:
            try:
                train_chunk(self.jobs, self.command, self.cores, self.folder, self.until)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=train, daemon=True)
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # on a cluster it comes before a job is handed in again
            _show_gpus(self.gpus)
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
        """Tell submitit what to call next time: the same, as every run goes on from its own checkpoint."""
        return library("submitit").helpers.DelayedSubmission(self)


def _show_gpus(gpus: str | None) -> None:
    """Let this process see the GPUs that its parent sees; submitit hides those of a local job that asks for none."""
    if gpus is None:
        os.environ.pop(_GPUS, None)
    else:
        os.environ[_GPUS] = gpus


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
        command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={self.job.job_id}", "--format=%T %r"]
        asked = subprocess.run(command, capture_output=True, text=True)
        if asked.returncode == 0:
            state, _, reason = asked.stdout.strip().partition(" ")
            if state == "PENDING" and reason not in _NO_NEWS:
                _tell_waiting(reason)
            return state or "GONE"
        return "GONE" if "Invalid job id" in asked.stderr else self.state  # else Slurm does not answer: ask later


@cache  # once a reason, however many jobs have it
def _tell_waiting(reason: str) -> None:
    log.info("Slurm lets jobs wait: %s", reason)


_OVER = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "GONE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
)  # fmt: skip

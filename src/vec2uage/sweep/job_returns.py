"""What Hydra is told of the jobs of a sweep: its callbacks at the start and end of each, and how each ended."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import OmegaConf

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.config.validate import to_container
from vec2uage.runs.result import RunResult
from vec2uage.sweep.compose import ComposedJob


def start_job(context: HydraContext, task_function: TaskFunction, item: ComposedJob) -> JobReturn:
    """Tell Hydra's callbacks that a job starts; return what `end_job` fills in."""
    plain = OmegaConf.create(to_container(item.cfg))
    job_return = JobReturn(list(item.overrides), plain, item.cfg, working_dir=str(Path.cwd()))
    job_return.task_name = str(item.cfg.hydra.job.name)
    context.callbacks.on_job_start(config=item.cfg, task_function=task_function)
    return job_return


def end_job(
    context: HydraContext, item: ComposedJob, job_return: JobReturn, result: RunResult, error: Exception | None
) -> None:
    """Tell Hydra how a job has ended: its validation error (years), or an exception that names the run."""
    if result.status == "completed" and error is None:
        job_return.status, job_return.return_value = JobStatus.COMPLETED, result.scores.get("validation/mae")
    else:
        job_return.status = JobStatus.FAILED
        job_return.return_value = error or UserError(f"{result.name}: {result.ending}")
    context.callbacks.on_job_end(config=item.cfg, job_return=job_return)


def raise_failure(job_returns: Sequence[JobReturn], results: Sequence[RunResult]) -> None:
    """Raise what a job has raised: a defect, or why it was refused beside a result that is kept; else how many failed.

    Why runs have failed stands in the table with which a sweep ends.
    """
    failed = 0
    for job_return, result in zip(job_returns, results, strict=True):
        if job_return.status == JobStatus.COMPLETED:
            continue
        failed += 1
        if result.status == "completed" or not isinstance(job_return._return_value, UserError | OSError):
            _ = job_return.return_value  # raises it
    if failed:
        raise UserError(f"{failed} of {counted(len(results), 'run')} did not complete")

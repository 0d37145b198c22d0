"""A sweep from the options of its jobs to one table: the story of `-m`, told in `SweepSession`.

What is called follows the order of the calls: `compose` the jobs and `check` them, show the plan (`preview`) or go on,
prepare their folders (`resume`), train them (`executors`), and sum the folder up (`summary`).
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from vec2uage.base.atomic import remove_unfinished, replacing, write_text
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy, only_user_of
from vec2uage.config.command import discard_unused, typed_line
from vec2uage.config.hydra.composer import Composer
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import collect, write_sweep
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data, check_executor
from vec2uage.sweep.compose import ComposedJob, compose_jobs
from vec2uage.sweep.executors.base import Executor
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.job_returns import end_job, start_job
from vec2uage.sweep.options import command_options
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import FolderConflict, is_kept, match_existing, prepare_folders
from vec2uage.sweep.summary import summarize
from vec2uage.sweep.worker import prune
from vec2uage.training.record import describe

log = logging.getLogger(__name__)


class SweepSession:
    """Trains batches of jobs into one folder: a grid is one batch, a search asks, runs and learns from several.

    `run` is all that a grid needs: it composes jobs and trains them to their end. A search that ends some of its runs
    early composes them once, trains them to one epoch after the other, and prunes some in between.

    A batch is checked as a whole before anything is written. From the first one that passes on, other commands are kept
    out of the folder; when the session ends, however it ends, all that lies there is summed up. A run that has ended
    before, in this session or an earlier one, is found by its configuration and kept. What is refused because of what
    lies in the folder leaves it as it was.
    """

    def __init__(
        self,
        context: HydraContext,
        master: DictConfig,
        task_function: TaskFunction,
        launcher: Launcher | None = None,
        first: int = 0,
        with_table: bool = True,
    ) -> None:
        """Begin the sweep of `master`, the configuration that Hydra composed for all of its jobs (see `parse_grid`).

        `launcher` is what trains the jobs one by one; None: they are trained as stacks. `first` is the number of the
        first job. `with_table`: the table of all runs, with their test errors, is printed at the end.
        """
        self.folder = Path(master.hydra.sweep.dir)
        self.job_returns: list[JobReturn] = []
        """What Hydra is told of every job so far."""
        self.ended: list[tuple[JobReturn, RunResult]] = []
        """Those of them that have ended, and how."""
        self._context, self._master, self._task_function = context, master, task_function
        self._launcher = launcher
        self._composer = Composer(context.config_loader, master)
        self._next = first
        self._with_table = with_table
        self._results: dict[Path, RunResult] = {}
        self._started: dict[Path, JobReturn] = {}
        self._executor: Executor | None = None
        self._lock = ExitStack()
        self._multirun_before: bytes | None = None
        self._is_open, self._has_trained = False, False

    def __enter__(self) -> "SweepSession":
        return self

    def run(self, batch: Sequence[Sequence[str]]) -> list[RunResult]:
        """Train a job for each list of overrides and return their results, in this order, failed ones included.

        Raises what `compose` and `train` do.
        """
        return self.train(self.compose(batch))

    def compose(self, batch: Sequence[Sequence[str]]) -> list[ComposedJob]:
        """Compose and check a job for each list of overrides, and keep others out of the folder from then on.

        With `plan=true` it prints what would be trained and ends the program. Raises UserError for all that is wrong
        with the batch, Busy where another command trains in the folder.
        """
        composed = compose_jobs(self._composer, batch, self._next)
        if self._launcher is None:
            composed = match_existing(composed, self.folder)
            self._executor = check_executor(self._master, [item.job for item in composed])
        options = command_options(composed[0].cfg)
        jobs = [item.job for item in composed]
        if self._executor and self._executor.here:
            check_data(jobs, options.resume)
        if options.plan:
            print(preview(jobs, options.resume))
            sys.exit(0)
        self.open()
        self._next += len(batch)
        return composed

    def train(self, composed: Sequence[ComposedJob], until: int | None = None) -> list[RunResult]:
        """Train jobs to their end and return their results, in this order, failed ones included.

        With `until` they pause after so many epochs, as "running", and go on when they are given again. A run that was
        pruned before is kept where it has had these epochs, else trained anew. Raises FolderConflict and Busy for what
        is in the way, and KeyboardInterrupt once all runs have stopped.
        """
        results = self._train(composed, self._executor, until) if self._executor else self._launch(composed)
        self._results |= {item.job.folder: result for item, result in zip(composed, results, strict=True)}
        return results

    def prune(self, composed: Sequence[ComposedJob], reason: str) -> list[RunResult]:
        """End those of the jobs that have paused, for this reason, and return the results of all."""
        results = [self._results[item.job.folder] for item in composed]
        for place, item in enumerate(composed):
            if results[place].status == "running":
                results[place] = self._results[item.job.folder] = prune(item.job, reason, typed_line("train"))
                self._end(item, results[place])
        return results

    def open(self) -> None:
        """Keep other sweeps out of the folder, and write multirun.yaml as Hydra's own sweeper does."""
        if self._is_open:
            return
        self._lock.enter_context(only_user_of(self.folder))
        for name in ("sweep.json", "sweep.csv"):
            remove_unfinished(self.folder / name)
        if self._multirun.is_file():
            self._multirun_before = self._multirun.read_bytes()
        write_text(self._multirun, OmegaConf.to_yaml(self._master))
        self._is_open = True

    @property
    def _multirun(self) -> Path:
        return self.folder / "multirun.yaml"

    def _restore_multirun(self) -> None:
        """Leave multirun.yaml as it was before this session."""
        if self._multirun_before is None:
            self._multirun.unlink()
        else:
            with replacing(self._multirun) as temporary:
                temporary.write_bytes(self._multirun_before)

    def _train(self, composed: Sequence[ComposedJob], executor: Executor, until: int | None) -> list[RunResult]:
        """Train jobs as stacks, all but those that have ended."""
        known = {item.job: self._results[item.job.folder] for item in composed if item.job.folder in self._results}
        # What this very session has trained is kept, whatever `resume` says of earlier ones.
        ended = {job: result for job, result in known.items() if is_kept(result, until)}
        paused = [job for job, result in known.items() if result.status == "running"]
        new = {item.job: item.cfg for item in composed if item.job not in ended and item.job not in paused}
        if new:
            ended |= prepare_folders(new, command_options(composed[0].cfg).resume, until)
            self._write_pending([item.job for item in composed], ended)
        if ended and not paused:
            log.info("%d of %d runs have ended before and are kept", len(ended), len(composed))
        self._has_trained = True
        for item in composed:
            self._start(item)
        jobs = [item.job for item in composed]
        finished = executor.train([job for job in jobs if job not in ended], typed_line("train"), until)
        results = ended | finished.results
        for item in composed:
            if results[item.job].status != "running":
                self._end(item, results[item.job], finished.errors.get(item.job))
        if finished.interrupted:
            raise KeyboardInterrupt
        return [results[job] for job in jobs]

    def _start(self, item: ComposedJob) -> None:
        if item.job.folder not in self._started:
            self._started[item.job.folder] = start_job(self._context, self._task_function, item)
            self.job_returns.append(self._started[item.job.folder])

    def _end(self, item: ComposedJob, result: RunResult, error: Exception | None = None) -> None:
        job_return = self._started.pop(item.job.folder)
        end_job(self._context, item, job_return, result, error)
        self.ended.append((job_return, result))

    def _write_pending(self, jobs: Sequence[Job], ended: Mapping[Job, RunResult]) -> None:
        """Name all jobs of a batch in sweep.json before they are trained, so that a kill leaves none out."""
        command = typed_line("train")
        pending = (describe(job.name, job.settings, command, status="pending") for job in jobs if job not in ended)
        known = {r.name: r for r in [*collect(self.folder)[0].values(), *pending, *ended.values()]}
        write_sweep(list(known.values()), self.folder)

    def _launch(self, composed: Sequence[ComposedJob]) -> list[RunResult]:
        """Let a launcher of Hydra's train jobs, each by itself in a folder that it prepares."""
        assert self._launcher is not None
        self._has_trained = True
        batch, first = [item.overrides for item in composed], composed[0].cfg.hydra.job.num
        job_returns = self._launcher.launch(batch, initial_job_idx=first)
        self.job_returns += job_returns
        results = [_read_result(item.job, job) for item, job in zip(composed, job_returns, strict=True)]
        self.ended += zip(job_returns, results, strict=True)
        return results

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_refused = isinstance(error, FolderConflict | Busy) and not self._has_trained
        with self._lock:
            if self._is_open and is_refused:
                self._restore_multirun()
            elif self._is_open:
                summarize(self.folder, self._results, self._with_table)
        if is_refused and isinstance(error, FolderConflict):
            discard_unused(self.folder)


def _read_result(job: Job, job_return: JobReturn) -> RunResult:
    """Return what a job that trained by itself has left."""
    try:
        return replace(RunFolder(job.folder).read_result(), name=job.name)
    except UserError as error:
        raised = job_return._return_value if job_return.status == JobStatus.FAILED else error
        return describe(job.name, job.settings, typed_line("train"), status="failed", reason=str(raised))

"""What a sweep is refused for once its jobs are composed: its launcher, and files that are not there."""

from collections.abc import Callable, Sequence
from functools import partial

from omegaconf import DictConfig, OmegaConf

from vec2uage.base.errors import UserError
from vec2uage.config.command import refuse_chdir
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.validate import check_group, refuse
from vec2uage.data.loading import check_files
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.executors.base import Executor
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.options import Resume
from vec2uage.sweep.resume import has_ended
from vec2uage.training.learners.registry import learner_of
from vec2uage.training.run_settings import RunSettings


def check_sweeper(master: DictConfig) -> None:
    """Raise UserError where a grid is given what is not its own, or its jobs work elsewhere than it is checked."""
    refuse_chdir(master.hydra)
    for group in ("search", "pruner"):
        if group in master.hydra.sweeper:
            raise UserError(f"{group} = ...: a grid searches nothing: add hydra/sweeper=optuna, or leave it out")
    if master.hydra.sweeper.max_batch_size is not None:
        raise UserError(
            f"hydra.sweeper.max_batch_size = {master.hydra.sweeper.max_batch_size}: a grid is trained as a whole, "
            "piece by piece as memory allows: leave it at null"
        )


def check_space(composer: Composer, ends: Sequence[Sequence[str]]) -> list[RunSettings]:
    """Return the settings of the runs at the ends of a space; UserError for what is not allowed, or changes nothing.

    `ends` are those of its space (`SearchSpace.ends`). Without it the search would be refused at the first such trial,
    which may be its last.
    """
    try:
        return [item.job.settings for item in compose_jobs(composer, ends, 0)]
    except UserError:
        for overrides in ends:  # which tells what is wrong with an option once, and not for each of its values
            compose_jobs(composer, [overrides], 0)
        raise


def check_executor(master: DictConfig, jobs: Sequence[Job]) -> Executor:
    """Return what trains the jobs as stacks; UserError for what stacks cannot do, or a launcher's wrong options."""
    if any(job.settings.trainer.profile for job in jobs):
        raise UserError(
            "trainer.profile = true: stacks have no profile of each run: profile one run, or take hydra/launcher=basic"
        )
    executor = executor_of(master)
    executor.check()
    return executor


def executor_of(master: DictConfig) -> Executor:
    """Return what trains the jobs of a sweep; raises UserError where its options are wrong."""
    problems: list[str] = []
    options = OmegaConf.to_container(master.hydra.launcher.executor, resolve=True)
    executor: Executor = check_group(options, "hydra.launcher.executor", Executor, problems)
    refuse(problems)
    return executor


def check_data(jobs: Sequence[Job], resume: Resume) -> None:
    """Raise UserError, one for all, where files that the jobs read are not there.

    Without it each job would fail by itself, the last one hours after the first. What has ended reads nothing more.
    """
    settings = [job.settings for job in jobs if resume is False or not has_ended(job)]
    problems: dict[str, None] = {}
    checks: list[Callable[[], object]] = [
        partial(check_files, *files) for files in dict.fromkeys((run.dataset, run.augmentation) for run in settings)
    ]
    checks += [partial(learner_of(run).made_of, run) for run in settings]
    for check in checks:
        try:
            check()
        except UserError as error:
            problems[str(error)] = None
    if problems:
        if len(problems) == 1:
            raise UserError(next(iter(problems)))
        raise UserError(f"{len(problems)} things that the runs read are not there:", tuple(problems))

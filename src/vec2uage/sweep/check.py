"""What is refused before a sweep begins, and the jobs that it has."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from vec2uage.base import cli
from vec2uage.base.arguments import quoted
from vec2uage.base.errors import UserError
from vec2uage.config.validate import check_group, refuse
from vec2uage.data.loading import check_files
from vec2uage.runs.index import collect
from vec2uage.sweep.compose import Composer, settings_of
from vec2uage.sweep.executors.base import Executor
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.resume import Resume, has_ended


def name_jobs(master: DictConfig, overrides: Sequence[Override]) -> None:
    """Leave out of the names of a sweep's jobs all that is the same for every job, and put them all in one folder.

    Hydra composes jobs from the master's `hydra` overrides alone, so both go there.
    """
    fixed = [o.key_or_group for o in overrides if not o.is_sweep_override() or _is_single(o)]
    exclude = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]"
    folder = quoted(str(master.hydra.sweep.dir))
    master.hydra.overrides.hydra.extend([exclude, f"hydra.sweep.dir={folder}"])


def _is_single(override: Override) -> bool:
    """Tell whether an override is a choice of one value (see `base.arguments.left_to_jobs`)."""
    value = override.value()
    return isinstance(value, ChoiceSweep) and len(value.list) == 1


def check_sweeper(master: DictConfig) -> None:
    """Raise UserError where a grid would be handed out in pieces: it is checked, planned and stacked as a whole."""
    if master.hydra.sweeper.max_batch_size is not None:
        raise UserError(
            f"hydra.sweeper.max_batch_size = {master.hydra.sweeper.max_batch_size}: a grid is trained as a whole, "
            "piece by piece as memory allows: leave it at null"
        )


@dataclass(frozen=True)
class Checked:
    """A job of a sweep, composed and checked."""

    overrides: tuple[str, ...]
    cfg: DictConfig
    job: Job


def check_jobs(context: HydraContext, master: DictConfig, batch: Sequence[Sequence[str]], first: int) -> list[Checked]:
    """Compose and check every job of a sweep; one UserError for all that is wrong, before any work starts.

    `first` is the number of the batch's first job.
    """
    composer = Composer(context.config_loader, master)
    checked: list[Checked] = []
    problems: dict[str, list[Sequence[str]]] = defaultdict(list)
    for number, overrides in enumerate(batch, first):
        try:
            cfg = composer.job(overrides, number)
            checked.append(Checked(tuple(overrides), cfg, Job(*settings_of(cfg))))
        except Exception as error:
            if not cli.is_users(error):
                raise
            several = error.problems if isinstance(error, UserError) else ()
            for problem in several or [cli.sentence(error)]:
                problems[problem].append(overrides)
    refuse([_of_jobs(problem, jobs, batch) for problem, jobs in problems.items()])
    if not checked:
        raise UserError("the sweep has no jobs: an option has no values, such as seed=range(0)")
    _refuse_doubles(checked)
    return checked


def _of_jobs(problem: str, jobs: Sequence[Sequence[str]], batch: Sequence[Sequence[str]]) -> str:
    """Say which jobs of a sweep have a problem, where it is not all of them."""
    if len(jobs) == len(batch):
        return problem
    swept = [override for override in jobs[0] if not all(override in overrides for overrides in batch)]
    return f"{len(jobs)} of {len(batch)} jobs, such as {' '.join(swept)}: {problem}"


def found_again(checked: Sequence[Checked]) -> list[Checked]:
    """Return the jobs of a sweep, each in the folder that holds its run already, if there is one.

    Names of folders begin with a job's number, and a grid that has grown numbers its jobs anew.
    """
    folder = Path(checked[0].cfg.hydra.sweep.dir)
    holding: dict[str, list[Path]] = defaultdict(list)
    for path, result in (collect(folder)[0] if folder.is_dir() else {}).items():
        holding[result.config_hash].append(path)
    given = {item.job.folder for item in checked}

    def folder_of(job: Job) -> Path:
        known = [path for path in holding[job.settings.config_hash] if path.parent == job.folder.parent]
        elsewhere = [path for path in known if path not in given]
        return elsewhere[0] if elsewhere and job.folder not in known else job.folder

    return [replace(item, job=replace(item.job, folder=folder_of(item.job))) for item in checked]


def _refuse_doubles(checked: Sequence[Checked]) -> None:
    """Raise UserError where two jobs are the same, which would count twice in every mean, or share a folder."""
    runs: dict[Hashable, Checked] = {}
    folders: dict[Path, Checked] = {}
    for item in checked:
        told = " ".join(item.overrides)
        if (other := runs.setdefault(item.job.settings.identity(), item)) is not item:
            differ = item.job.settings.optimizer.lr != other.job.settings.optimizer.lr
            why = "; lr_finder=range_test finds the rate, whatever optimizer.lr is" * differ
            raise UserError(f"two jobs are the same run: {told} and {' '.join(other.overrides)}{why}")
        if (other := folders.setdefault(item.job.folder, item)) is not item:
            raise UserError(
                f"hydra.sweep.subdir puts two jobs into {item.job.folder}: {told} and {' '.join(other.overrides)}; "
                "let it hold ${hydra.job.num}"
            )


def check_fused(master: DictConfig, checked: Sequence[Checked]) -> Executor:
    """Return what trains the jobs; UserError for what stacks cannot do, and for a launcher's wrong options."""
    if any(item.job.settings.trainer.profile for item in checked):
        raise UserError(
            "trainer.profile = true: stacks have no profile of each run: profile one run, or take hydra/launcher=basic"
        )
    executor = executor_of(master)
    executor.check()
    return executor


def check_data(jobs: Sequence[Job], resume: Resume) -> None:
    """Raise UserError, one for all, where files that the jobs read are not there.

    Without it each job would fail by itself, the last one hours after the first. What has ended reads nothing more.
    """
    settings = [job.settings for job in jobs if resume is False or not has_ended(job)]
    problems: dict[str, None] = {}
    for dataset, augmentation in dict.fromkeys((run.dataset, run.augmentation) for run in settings):
        try:
            check_files(dataset, augmentation)
        except UserError as error:
            problems[str(error)] = None
    if problems:
        several = [f"{len(problems)} things that the runs read are not there:"] if len(problems) > 1 else []
        raise UserError("\n  ".join([*several, *problems]))


def executor_of(master: DictConfig) -> Executor:
    """Return what trains the jobs of a sweep; raises UserError where its options are wrong."""
    problems: list[str] = []
    options = OmegaConf.to_container(master.hydra.launcher.executor, resolve=True)
    executor: Executor = check_group(options, "hydra.launcher.executor", Executor, problems)
    refuse(problems)
    return executor

"""From the overrides of a sweep's jobs to checked settings and run folders: the first step of a sweep.

Every job is composed and checked before any work starts, and all that is wrong is told at once.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer, current_job
from vec2uage.config.hydra.errors import error_sentence, is_user_error
from vec2uage.config.validate import refuse
from vec2uage.sweep.grouping import Job
from vec2uage.training.run_settings import RunSettings, from_config


@dataclass(frozen=True)
class ComposedJob:
    """A job of a sweep, composed and checked."""

    overrides: tuple[str, ...]
    cfg: DictConfig
    job: Job


def compose_jobs(composer: Composer, batch: Sequence[Sequence[str]], first: int) -> list[ComposedJob]:
    """Compose and check every job of a batch, numbered from `first` on; one UserError for all that is wrong.

    Of jobs that differ in their seed alone, two are looked at before all others: what is wrong with both is wrong with
    all of them, and hundreds of jobs are refused at once.
    """
    composed: dict[int, ComposedJob] = {}
    problems: dict[str, list[Sequence[str]]] = defaultdict(list)

    def compose(place: int) -> list[str]:
        found = _compose(composer, batch[place], first + place)
        if isinstance(found, ComposedJob):
            composed[place] = found
            return []
        return found

    alike: dict[Hashable, list[int]] = defaultdict(list)
    for place, overrides in enumerate(batch):
        alike[tuple(o for o in overrides if not o.startswith("seed="))].append(place)
    for places in alike.values():
        one, other = compose(places[0]), compose(places[-1]) if len(places) > 1 else []
        for problem in dict.fromkeys([*one, *other]):
            wrong = places if problem in one and problem in other else places[:1] if problem in one else places[-1:]
            problems[problem] += [batch[place] for place in wrong]
    if not problems:
        for place in range(len(batch)):
            if place not in composed:
                for problem in compose(place):
                    problems[problem].append(batch[place])
    refuse([_of_jobs(problem, jobs, batch) for problem, jobs in problems.items()])
    if not composed:
        raise UserError("the sweep has no jobs: an option has no values, such as seed=range(0)")
    jobs = [composed[place] for place in range(len(batch))]
    _refuse_outside(jobs, composer.folder)
    _refuse_duplicates(jobs)
    return jobs


def _compose(composer: Composer, overrides: Sequence[str], number: int) -> ComposedJob | list[str]:
    """Compose and check a job, or return what is wrong with it."""
    try:
        cfg = composer.job(overrides, number)
        return ComposedJob(tuple(overrides), cfg, Job(*settings_of(cfg), composer.folder))
    except Exception as error:
        if not is_user_error(error):
            raise
        several = error.problems if isinstance(error, UserError) else ()
        return list(several) or [error_sentence(error)]


def _of_jobs(problem: str, jobs: Sequence[Sequence[str]], batch: Sequence[Sequence[str]]) -> str:
    """Say which jobs of a sweep have a problem, where it is not all of them."""
    if len(jobs) == len(batch):
        return problem
    swept = [override for override in jobs[0] if not all(override in overrides for overrides in batch)]
    return f"{len(jobs)} of {len(batch)} jobs, such as {' '.join(swept)}: {problem}"


def _refuse_outside(composed: Sequence[ComposedJob], sweep: Path) -> None:
    """Raise UserError where a run would not lie within its sweep's folder, in which it is found again and named."""
    for item in composed:
        folder = item.job.folder
        is_below = folder != sweep and folder.is_relative_to(sweep) and ".." not in folder.relative_to(sweep).parts
        if not (is_below and folder.resolve() == sweep.resolve() / folder.relative_to(sweep)):
            raise UserError(
                f"hydra.sweep.subdir leads to {folder}, which does not lie within the sweep's folder {sweep}: a sweep "
                "finds its runs there alone: name that folder by hydra.sweep.dir, and let the subdir be a path below it"
            )


def _refuse_duplicates(composed: Sequence[ComposedJob]) -> None:
    """Raise UserError where two jobs are the same, which would count twice in every mean, or share a folder."""
    runs: dict[Hashable, ComposedJob] = {}
    folders: dict[Path, ComposedJob] = {}
    for item in composed:
        own = " ".join(item.overrides)
        if (other := runs.setdefault(item.job.settings.identity(), item)) is not item:
            differ = item.job.settings.optimizer.lr != other.job.settings.optimizer.lr
            why = "; lr_finder=range_test finds the rate, whatever optimizer.lr is" * differ
            raise UserError(f"two jobs are the same run: {own} and {' '.join(other.overrides)}{why}")
        if (other := folders.setdefault(item.job.folder, item)) is not item:
            raise UserError(
                f"hydra.sweep.subdir puts two jobs into {item.job.folder}: {own} and {' '.join(other.overrides)}; "
                "let it hold ${hydra.job.num}"
            )


def settings_of(cfg: DictConfig) -> tuple[RunSettings, Path]:
    """Return a job's checked settings and its run folder."""
    with current_job(cfg) as folder:
        choices = {str(k): str(v) for k, v in cfg.hydra.runtime.choices.items()}
        fixed = list(cfg.hydra.job.config.override_dirname.exclude_keys)
        return from_config(cfg, choices, list(cfg.hydra.overrides.task), fixed), folder

"""From the overrides of a sweep's jobs to checked settings and run folders: the first step of a sweep.

Every job is composed and checked before any work starts, and all that is wrong is told at once.
"""

import copy
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from vec2uage.base import cli
from vec2uage.base.arguments import quoted
from vec2uage.base.errors import UserError
from vec2uage.config.validate import refuse
from vec2uage.sweep.grouping import Job
from vec2uage.training.run_settings import RunSettings, from_config


@dataclass(frozen=True)
class ComposedJob:
    """A job of a sweep, composed and checked."""

    overrides: tuple[str, ...]
    cfg: DictConfig
    job: Job


def compose_jobs(composer: "Composer", batch: Sequence[Sequence[str]], first: int) -> list[ComposedJob]:
    """Compose and check every job of a batch, numbered from `first` on; one UserError for all that is wrong."""
    composed: list[ComposedJob] = []
    problems: dict[str, list[Sequence[str]]] = defaultdict(list)
    for number, overrides in enumerate(batch, first):
        try:
            cfg = composer.job(overrides, number)
            composed.append(ComposedJob(tuple(overrides), cfg, Job(*settings_of(cfg))))
        except Exception as error:
            if not cli.is_users(error):
                raise
            several = error.problems if isinstance(error, UserError) else ()
            for problem in several or [cli.sentence(error)]:
                problems[problem].append(overrides)
    refuse([_of_jobs(problem, jobs, batch) for problem, jobs in problems.items()])
    if not composed:
        raise UserError("the sweep has no jobs: an option has no values, such as seed=range(0)")
    _refuse_doubles(composed)
    return composed


def _of_jobs(problem: str, jobs: Sequence[Sequence[str]], batch: Sequence[Sequence[str]]) -> str:
    """Say which jobs of a sweep have a problem, where it is not all of them."""
    if len(jobs) == len(batch):
        return problem
    swept = [override for override in jobs[0] if not all(override in overrides for overrides in batch)]
    return f"{len(jobs)} of {len(batch)} jobs, such as {' '.join(swept)}: {problem}"


def _refuse_doubles(composed: Sequence[ComposedJob]) -> None:
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


class Composer:
    """Composes jobs as `ConfigLoader.load_sweep_config` does, equal in result and an order of magnitude faster.

    Hydra reads and merges every file anew for every job (tens of milliseconds). Jobs mostly differ in plain values
    (`seed=3`), which are applied here to a copy of what their choice of files (`optimizer=sgd`) gave.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._parser = OverridesParser.create(config_loader=loader)
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._chooses_file = lru_cache(maxsize=None)(lambda key: bool(loader.get_group_options(key)))

    def job(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return the configuration of one job, its `hydra` node included."""
        parsed = self._parser.parse_overrides(list(overrides))
        values = [o for o in parsed if self._is_plain_value(o)]
        choices = tuple(str(o.input_line) for o in parsed if o not in values)
        if choices not in self._composed:
            self._composed[choices] = self._loader.load_sweep_config(self._master, list(choices))
        cfg = copy.deepcopy(self._composed[choices])
        for override in values:
            _apply(cfg, override)
        with open_dict(cfg):
            cfg.hydra.overrides.task = list(overrides)
            cfg.hydra.job.id = str(number)
            cfg.hydra.job.num = number
            excluded = cfg.hydra.job.config.override_dirname.exclude_keys
            swept = [str(o.input_line) for o in parsed if o.key_or_group not in excluded]
            cfg.hydra.job.override_dirname = ",".join(sorted(swept))
        OmegaConf.copy_cache(from_config=self._master, to_config=cfg)
        return cfg

    def _is_plain_value(self, override: Override) -> bool:
        """Tell whether an override only sets a value that is there, and chooses no file."""
        plain = not (override.is_add() or override.is_force_add() or override.is_delete())
        hydras = override.key_or_group.startswith("hydra.")
        return plain and not hydras and not self._chooses_file(override.key_or_group)


def settings_of(cfg: DictConfig) -> tuple[RunSettings, Path]:
    """Return a job's checked settings and its run folder."""
    state = HydraConfig.instance()
    previous = state.cfg
    state.cfg = cfg  # type: ignore[assignment]  # where ${hydra:...} looks; set_config would copy it, 5 ms a job
    try:
        folder = Path(cfg.hydra.sweep.dir) / str(cfg.hydra.sweep.subdir)
        with read_write(cfg.hydra.runtime), open_dict(cfg.hydra.runtime):
            cfg.hydra.runtime.output_dir = str(folder.absolute())
        choices = {str(k): str(v) for k, v in cfg.hydra.runtime.choices.items()}
        fixed = list(cfg.hydra.job.config.override_dirname.exclude_keys)
        return from_config(cfg, choices, list(cfg.hydra.overrides.task), fixed), folder
    finally:
        state.cfg = previous


def _apply(cfg: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
    except (ConfigAttributeError, ConfigKeyError) as error:
        raise ConfigCompositionException(f"Could not override {override.input_line}") from error


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

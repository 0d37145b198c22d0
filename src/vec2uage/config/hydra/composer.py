"""How the jobs of a sweep are composed, once per choice of files instead of once per job, and named."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from vec2uage.base.arguments import quoted


class Composer:
    """Composes jobs as `ConfigLoader.load_sweep_config` does, equal in result and an order of magnitude faster.

    Hydra reads and merges every file anew for every job (tens of milliseconds). Jobs mostly differ in plain values
    (`seed=3`), which are applied here to a copy of what their choice of files (`optimizer=sgd`) gave.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._parser = OverridesParser.create(config_loader=loader)
        self._composed: dict[tuple[str, ...], DictConfig | HydraException] = {}
        self._chooses_file = lru_cache(maxsize=None)(lambda key: bool(loader.get_group_options(key)))

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return Path(self._master.hydra.sweep.dir)

    def job(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return the configuration of one job, its `hydra` node included."""
        parsed = self._parser.parse_overrides(list(overrides))
        values = [o for o in parsed if self._is_plain_value(o)]
        choices = tuple(str(o.input_line) for o in parsed if o not in values)
        if choices not in self._composed:
            try:
                self._composed[choices] = self._loader.load_sweep_config(self._master, list(choices))
            except HydraException as error:
                self._composed[choices] = error
        composed = self._composed[choices]
        if isinstance(composed, HydraException):
            raise composed
        cfg = copy.deepcopy(composed)
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
        is_hydras = override.key_or_group.startswith("hydra.")
        return plain and not is_hydras and not self._chooses_file(override.key_or_group)


def _apply(cfg: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
    except (ConfigAttributeError, ConfigKeyError) as error:
        raise ConfigCompositionException(f"Could not override {override.input_line}") from error


@contextmanager
def current_job(cfg: DictConfig) -> Iterator[Path]:
    """Let `${hydra:...}` in a job's configuration mean that job in the block, which gets the job's folder."""
    state = HydraConfig.instance()
    previous = state.cfg
    state.cfg = cfg  # type: ignore[assignment]  # where ${hydra:...} looks; set_config would copy it, 5 ms a job
    try:
        folder = Path(cfg.hydra.sweep.dir) / str(cfg.hydra.sweep.subdir)
        with read_write(cfg.hydra.runtime), open_dict(cfg.hydra.runtime):
            cfg.hydra.runtime.output_dir = str(folder.absolute())
        yield folder
    finally:
        state.cfg = previous


def parse_grid(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> list[Override]:
    """Return the options of a sweep as Hydra reads them; put its jobs into one folder, named after what is swept alone.

    Hydra composes jobs from the master's `hydra` overrides alone, so the folder, and which options all jobs share, are
    added to these.
    """
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    shared = [o.key_or_group for o in overrides if not o.is_sweep_override() or is_single(o)]
    exclude = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(shared)}]"
    folder = quoted(str(master.hydra.sweep.dir))
    master.hydra.overrides.hydra.extend([exclude, f"hydra.sweep.dir={folder}"])
    return overrides


def is_single(override: Override) -> bool:
    """Tell whether an override is a choice of one value (see `read_again.leave_to_jobs`)."""
    value = override.value()
    return isinstance(value, ChoiceSweep) and len(value.list) == 1

"""Sweeps as Hydra hands them over: a loader, a master configuration, and the jobs of a list of overrides."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from torch import nn

from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.compose import settings_of
from vec2uage.sweep.grouping import Job

SMALL = ("dataset=synthetic", "dataset.size=small", "split.heldout_per_age=20", "augmentation.train_per_age=20")


class Dropping(nn.Module):
    """Draws random numbers while it trains."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@dataclass(frozen=True)
class Sweep:
    """What a launcher works with."""

    loader: ConfigLoader
    master: DictConfig

    def context(self) -> HydraContext:
        return HydraContext(config_loader=self.loader, callbacks=Callbacks())

    def jobs(self, root: Path, overrides: Sequence[Sequence[str]]) -> list[Job]:
        """Compose jobs on small data, each with a folder of its own, as they are before they train."""
        composer = Composer(self.loader, self.master)
        jobs = []
        for number, own in enumerate(overrides):
            settings, _ = settings_of(composer.job([*SMALL, *own], number))
            jobs.append(Job(settings, root / str(number)))
            jobs[-1].folder.mkdir(parents=True)
            RunFolder(jobs[-1].folder).config.touch()
        return jobs


def make_sweep(*arguments: str) -> Sweep:
    """Compose what `python -m vec2uage.train -m ARGUMENTS` gives to its sweeper."""
    setup_globals()
    register_resolvers()
    JobRuntime.instance().set("name", "train")
    loader = ConfigLoaderImpl(create_config_search_path(conf_dir()))
    return Sweep(loader, loader.load_configuration("train", list(arguments), run_mode=RunMode.MULTIRUN))

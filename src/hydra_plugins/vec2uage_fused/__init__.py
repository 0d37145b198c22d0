"""Registers vec2uage's launcher (`hydra/launcher=fused`) and sweeper (`hydra/sweeper=grid`) with Hydra.

Hydra imports this file at every start, so all work and every heavy import is in `vec2uage.sweep`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class FusedLauncher(Launcher):
    """Trains all jobs of a sweep in this process, as stacks."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task_function, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from vec2uage.sweep.launch import launch_fused

        return launch_fused(self._context, self._task_function, self._config, job_overrides, initial_job_idx)


class GridSweeper(BasicSweeper):
    """Hydra's grid, checked as a whole before it starts and summed up at its end, however it ends."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        from vec2uage.sweep.launch import check_jobs

        assert self.hydra_context is not None
        assert self.config is not None
        check_jobs(self.hydra_context, self.config, batch)

    def sweep(self, arguments: list[str]) -> Any:
        from vec2uage.sweep.launch import name_jobs, summarize

        assert self.hydra_context is not None
        assert self.config is not None
        name_jobs(self.hydra_context, self.config, [*self._parse_config(), *arguments])
        try:
            return super().sweep(arguments)
        finally:
            summarize(Path(self.config.hydra.sweep.dir))

"""Registers vec2uage's launcher (`hydra/launcher=fused`) and sweeper (`hydra/sweeper=grid`) with Hydra.

Hydra imports this file at every start, so all work and every heavy import is in `vec2uage.sweep`.
"""

import inspect
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins._vec2uage_sweeper import SessionSweeper


class FusedLauncher(BasicLauncher):
    """Trains all jobs of a sweep as stacks, where `executor` says; jobs of other programs than ours one by one."""

    def __init__(self, executor: Any) -> None:  # the session reads it from the configuration
        super().__init__()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train what another sweeper than ours hands over."""
        assert self.hydra_context is not None
        assert self.task_function is not None
        assert self.config is not None
        program, train = inspect.getmodule(self.task_function), find_spec("vec2uage.train")
        if program is None or train is None or program.__file__ != train.origin:
            return super().launch(job_overrides, initial_job_idx)
        from vec2uage.sweep.session import SweepSession

        with SweepSession(self.hydra_context, self.config, self.task_function, first=initial_job_idx) as sweep:
            sweep.run(job_overrides)
        return sweep.job_returns


class GridSweeper(SessionSweeper, BasicSweeper):
    """Hydra's grid, checked as a whole before anything is written and summed up at its end, however it ends."""

    def train(
        self,
        context: HydraContext,
        master: DictConfig,
        task_function: TaskFunction,
        launcher: Launcher | None,
        arguments: Sequence[str],
    ) -> list[JobReturn]:
        from vec2uage.config.hydra.composer import parse_grid
        from vec2uage.sweep.check import check_sweeper
        from vec2uage.sweep.job_returns import raise_failure
        from vec2uage.sweep.session import SweepSession

        check_sweeper(master)
        overrides = parse_grid(context.config_loader, master, arguments)
        [grid] = self.split_arguments(overrides, max_batch_size=None)
        with SweepSession(context, master, task_function, launcher) as sweep:
            results = sweep.run(grid)
        raise_failure(sweep.job_returns, results)
        return sweep.job_returns

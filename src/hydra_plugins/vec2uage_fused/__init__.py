"""Registers vec2uage's launcher (`hydra/launcher=fused`) and sweeper (`hydra/sweeper=grid`) with Hydra.

Hydra imports this file at every start, so all work and every heavy import is in `vec2uage.sweep`.
"""

import inspect
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn


class FusedLauncher(BasicLauncher):
    """Trains all jobs of a sweep as stacks, where `executor` says; jobs of other programs than ours one by one."""

    checked: Sequence[Any] = ()  # the jobs as GridSweeper has checked them, so that nothing is composed twice

    def __init__(self, executor: Any) -> None:  # launch_fused reads it from the configuration
        super().__init__()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        assert self.hydra_context is not None
        assert self.task_function is not None
        assert self.config is not None
        program, train = inspect.getmodule(self.task_function), find_spec("vec2uage.train")
        if program is None or train is None or program.__file__ != train.origin:
            return super().launch(job_overrides, initial_job_idx)
        from vec2uage.sweep.check import check_jobs, found_again
        from vec2uage.sweep.launch import launch_fused

        jobs = self.checked or found_again(check_jobs(self.hydra_context, self.config, job_overrides, initial_job_idx))
        return launch_fused(self.hydra_context, self.task_function, self.config, jobs)


class GridSweeper(BasicSweeper):
    """Hydra's grid, checked as a whole before anything is written and summed up at its end, however it ends."""

    def sweep(self, arguments: list[str]) -> Any:
        from vec2uage.sweep.check import check_data, check_fused, check_jobs, check_sweeper, found_again, name_jobs
        from vec2uage.sweep.launch import end_if_planned, sweeping
        from vec2uage.sweep.resume import resume_of

        assert self.hydra_context is not None
        assert self.config is not None
        assert self.launcher is not None
        check_sweeper(self.config)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        name_jobs(self.config, overrides)
        [grid] = self.split_arguments(overrides, max_batch_size=None)
        checked = check_jobs(self.hydra_context, self.config, grid, 0)
        if isinstance(self.launcher, FusedLauncher):
            self.launcher.checked = checked = found_again(checked)
            if check_fused(self.config, checked).here:
                check_data([item.job for item in checked], resume_of(checked[0].cfg))
        end_if_planned(checked)
        with sweeping(self.config):
            returns = self.launcher.launch(grid, initial_job_idx=0)
            for job in returns:
                _ = job.return_value  # raises what the job has raised
        return [returns]

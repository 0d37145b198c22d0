"""Registers vec2uage's leaderboard (`hydra/sweeper=leaderboard`) with Hydra, which imports this at every start."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LeaderboardSweeper(BasicSweeper):
    """Compares models, each with what validation chooses of its options, on many splits."""

    def __init__(self, params: Any = None, **options: Any) -> None:  # the leaderboard reads them from the configuration
        super().__init__(max_batch_size=None, params=params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.task_function = task_function

    def sweep(self, arguments: list[str]) -> Any:
        from hydra_plugins.vec2uage_fused import FusedLauncher
        from vec2uage.sweep.leaderboard.compare import run_leaderboard

        assert self.hydra_context is not None
        assert self.config is not None
        launcher = None if isinstance(self.launcher, FusedLauncher) else self.launcher
        given = [*self._parse_config(), *arguments]
        return [run_leaderboard(self.hydra_context, self.config, self.task_function, launcher, given)]

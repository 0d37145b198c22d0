"""What the sweepers of vec2uage have in common; Hydra itself does not look into modules whose names begin with `_`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper as Base
else:
    # Looking for plugins anew, Hydra runs its own sweeper's module again, but not this one: what derives from that
    # sweeper has to be in a module that it runs again, too.
    Base = ABC


class SessionSweeper(Base):
    """What makes a `BasicSweeper` train through a `SweepSession`, where all work and every heavy import is.

    To be derived from before `BasicSweeper`.
    """

    def __init__(self, params: Any = None, **options: Any) -> None:  # these are read from the configuration
        # Without BasicSweeper's own, which looks for itself in its module: Hydra executes that one anew, with another
        # class of the name, whenever it looks for plugins. `setup` sets all else.
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.task_function = task_function

    def sweep(self, arguments: list[str]) -> Any:
        from hydra_plugins.vec2uage_fused import FusedLauncher

        assert self.hydra_context is not None
        assert self.config is not None
        launcher = None if isinstance(self.launcher, FusedLauncher) else self.launcher
        given = [*self._parse_config(), *arguments]
        return [self.train(self.hydra_context, self.config, self.task_function, launcher, given)]

    @abstractmethod
    def train(
        self,
        context: HydraContext,
        master: DictConfig,
        task_function: TaskFunction,
        launcher: Launcher | None,
        arguments: Sequence[str],
    ) -> list[JobReturn]:
        """Train what the arguments and the options of the sweeper ask for; `launcher` is None where stacks do it."""

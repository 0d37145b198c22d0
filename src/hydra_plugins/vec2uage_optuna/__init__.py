"""Registers vec2uage's search (`hydra/sweeper=optuna`) with Hydra, which imports this file at every start."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from hydra_plugins._vec2uage_sweeper import SessionSweeper


class OptunaSweeper(SessionSweeper, BasicSweeper):
    """Searches for the best options with Optuna, in batches of trials that are trained as stacks."""

    def train(self, *given: Any) -> Any:
        from vec2uage.sweep.search.search import run_search

        return run_search(*given)

"""Registers vec2uage's leaderboard (`hydra/sweeper=leaderboard`) with Hydra, which imports this at every start."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from hydra_plugins._vec2uage_sweeper import SessionSweeper


class LeaderboardSweeper(SessionSweeper, BasicSweeper):
    """Compares models, each with what validation chooses of its options, on many splits."""

    def train(self, *given: Any) -> Any:
        from vec2uage.sweep.leaderboard.compare import run_leaderboard

        return run_leaderboard(*given)

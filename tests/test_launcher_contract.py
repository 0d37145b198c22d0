"""Hydra's own test suite for launchers, run against `hydra/launcher=fused`.

Its task functions are not vec2uage's, so what is checked here is that the launcher keeps Hydra's contract for any
program; that it keeps it while it trains stacks is checked in end_to_end/test_train.py.
"""

import pytest
from hydra.core.plugins import Plugins
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

from vec2uage.config.hydra.resolvers import conf_dir

# Where the launcher is found, and what Hydra's own applications expect of every job.
OPTIONS = [f"hydra.searchpath=[file://{conf_dir()}]", "hydra.job.chdir=true"]


def test_hydra_discovers_launcher_and_sweeper() -> None:
    found = {plugin.__name__ for plugin in Plugins.instance().discover()}
    assert {"FusedLauncher", "GridSweeper"} <= found


@pytest.mark.parametrize("launcher_name", ["fused"])
@pytest.mark.parametrize("overrides", [OPTIONS])
class TestFusedLauncher(LauncherTestSuite):
    """Sweeps over Hydra's own small applications."""


@pytest.mark.parametrize("launcher_name", ["fused"])
class TestFusedLauncherInBatches(BatchedSweeperTestSuite):
    """A sweeper that hands over two jobs at a time."""

    @pytest.fixture
    def overrides(self) -> list[str]:
        return [*OPTIONS, "hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2"]


@pytest.mark.slow
@pytest.mark.parametrize("task_launcher_cfg", [{}])
@pytest.mark.parametrize("extra_flags", [["-m", *OPTIONS, "hydra/launcher=fused"]])
class TestFusedLauncherIntegration(IntegrationTestSuite):
    """Programs started as processes of their own."""

"""Fixtures of a sweep on small data."""

from collections.abc import Iterator

import pytest
from hydra.core.singleton import Singleton
from sweeps import Sweep, make_sweep


@pytest.fixture(scope="module")
def sweep() -> Iterator[Sweep]:
    state = Singleton.get_state()
    yield make_sweep()
    Singleton.set_state(state)


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep generated vectors out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEC2UAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield

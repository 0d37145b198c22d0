"""The experiments that make the lowest errors: what their entries are set to is there, and goes together."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.singleton import Singleton
from sweeps import make_sweep

from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.entries import parse_entries
from vec2uage.sweep.compose import settings_of
from vec2uage.sweep.leaderboard.options import leaderboard_options


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


@pytest.mark.parametrize("name", ["lowest_error", "lowest_error_visage"])
def test_all_members_and_their_stack_can_be_trained(name: str, tmp_path: Path) -> None:
    common = [f"experiment={name}", f"dataset.path={tmp_path}/faces.npz", "split.seed=0"]
    sweep = make_sweep(*common)
    options = leaderboard_options(sweep.master)
    entries = {entry.name: entry for entry in parse_entries(sweep.loader, options.entries)}
    assert next(iter(entries)) == options.reference == "swa"
    assert list(entries)[-1] == "stack"
    assert set(entries) == {*entries["stack"].members, "swa", "stack"}
    composer = Composer(sweep.loader, sweep.master)
    for number, entry in enumerate(entries.values()):
        members = [f"model.members=[{tmp_path}]"] if entry.members else []
        run, _ = settings_of(composer.job([*common, *entry.fixed.values(), *members], number))
        assert not entry.distributions, "one trial"
        assert run.split.heldout_per_age == {"lowest_error": 20, "lowest_error_visage": 10}[name]

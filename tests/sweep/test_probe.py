"""The experiment that probes blocks: every model on every block's vectors, and on nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.singleton import Singleton
from sweeps import make_sweep

from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.entries import parse_entries
from vec2uage.faces.embedders.blocks import BLOCKS
from vec2uage.sweep.compose import settings_of
from vec2uage.sweep.leaderboard.options import leaderboard_options

MODELS = ("ridge", "network", "kernel")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def test_every_model_is_trained_on_every_block(tmp_path: Path) -> None:
    common = ["experiment=probe", f"dataset.path={tmp_path}", "split.seed=0"]
    sweep = make_sweep(*common)
    entries = leaderboard_options(sweep.master).entries
    assert sorted(entries) == sorted(f"{model}-{block}" for model in MODELS for block in BLOCKS)
    for name, entry in entries.items():
        model, _, block = name.partition("-")
        own = {"dataset.path": f"{tmp_path}/{block}/vectors.arrow"}
        if model == "network" and block not in BLOCKS[-3:]:
            own["normalization"] = "standardize"
        assert entry == entries[f"{model}-{BLOCKS[-1]}"] | own
    composer = Composer(sweep.loader, sweep.master)
    for entry in parse_entries(sweep.loader, {model: entries[f"{model}-{BLOCKS[0]}"] for model in MODELS}):
        run, _ = settings_of(composer.job([*common, *entry.fixed.values()], 0))
        assert run.dataset.path == f"{tmp_path}/{BLOCKS[0]}/vectors.arrow"

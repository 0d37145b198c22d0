"""The spaces of conf/search/: every model has one, and each holds what its model allows, and trains."""

import copy
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import SMALL, Sweep

from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.config.hydra.spaces import SearchSpace, parse_search
from vec2uage.sweep.check import check_space
from vec2uage.sweep.session import SweepSession

CONF = Path(conf_dir())
SPACES = sorted(CONF.glob("search/*.yaml"))
FEW = ("few_rows=true", "split.heldout_per_age=4", "augmentation.train_per_age=5", "trainer.max_epochs=1")


def typed(path: Path) -> list[str]:
    """The arguments of the command that a space opens with."""
    line = next(line for line in path.read_text().splitlines() if line.startswith("# python -m vec2uage.train"))
    return shlex.split(line)[4:]


def space_of(sweep: Sweep, path: Path) -> SearchSpace:
    """Read the space of the command that a file opens with, which may be of several files."""
    assert typed(path)[:2] == ["-m", "hydra/sweeper=optuna"]
    [named] = [argument.removeprefix("search=") for argument in typed(path) if argument.startswith("search=")]
    names = named.strip("[]").split(",")
    assert path.stem in names
    search: dict[str, str] = {}
    for name in names:
        search |= yaml.safe_load((CONF / f"search/{name}.yaml").read_text())["search"]
    own = [argument for argument in typed(path) if not argument.startswith(("hydra", "-m"))]
    return parse_search(sweep.loader, sweep.master, search, own)


@pytest.fixture
def own(sweep: Sweep, tmp_path: Path) -> Sweep:
    """A sweep with a folder of its own."""
    master = copy.deepcopy(sweep.master)
    master.hydra.sweep.dir = str(tmp_path)
    return Sweep(sweep.loader, master)


def corners(space: SearchSpace) -> list[list[str]]:
    """The overrides of two trials: one of all lower ends and first choices, one of all upper ends and last choices."""
    ends: dict[str, tuple[Any, ...]] = {
        key: getattr(found, "choices", ()) or (found.low, found.high)  # type: ignore[attr-defined]
        for key, found in space.distributions.items()
    }
    return [[*space.repeats[0], *(f"{key}={of_key[place]}" for key, of_key in ends.items())] for place in (0, -1)]


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_both_ends_of_every_range_are_allowed(own: Sweep, path: Path) -> None:
    check_space(Composer(own.loader, own.master), corners(space_of(own, path)))


def test_every_model_has_a_space() -> None:
    """But the stack, which has no number to choose, and an encoder that is tuned: each trial takes minutes."""
    models = {"vec2uage"} | {a.removeprefix("model=") for path in SPACES for a in typed(path) if a.startswith("model=")}
    assert models == {path.stem for path in CONF.glob("model/*.yaml")} - {"stack", "end_to_end"}


@pytest.mark.slow
def test_a_trial_of_every_space_trains(own: Sweep) -> None:
    jobs = [(*SMALL[:2], *FEW, f"seed={k}", *corners(space_of(own, path))[0]) for k, path in enumerate(SPACES)]
    with SweepSession(own.context(), own.master, print) as session:
        results = session.run(jobs)
    assert {result.ending for result in results} == {"completed"}

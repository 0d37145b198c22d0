"""A leaderboard chooses and fits nothing by the faces that it tests: it does the same whatever these show."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf
from sweeps import make_sweep

from vec2uage.data.listed_split import write_list
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import UNDIVIDED, Parts
from vec2uage.data.vectorset import make_vector_set
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import Leaderboard, read_leaderboard
from vec2uage.sweep.leaderboard.compare import run_leaderboard

NAMES = np.array([f"{row}.jpg" for row in range(120)])
ENTRIES = {
    "ridge": {"model": "ridge", "model.alpha": "log(1e-3, 1e4)"},
    "knn": {"model": "knn", "model.n_neighbors": "int(log(1, 30))"},
    "stack": {"model": "stack", "model.members": ["ridge", "knn"]},
}


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def compare(folder: Path, vectors: np.ndarray, ages: np.ndarray, divided: Parts) -> Leaderboard:
    """Run a leaderboard on one split of faces of three ages."""
    folder.mkdir()
    vs = make_vector_set(vectors.astype(np.float32), ages, names=NAMES)
    write_list(folder / "list.csv", vs, {0: divided}, "name_sha256")
    np.savez(folder / "faces.npz", vectors=vs.vectors, ages=ages, names=NAMES)
    sweep = make_sweep("hydra/sweeper=leaderboard")
    OmegaConf.update(sweep.master, "hydra.sweeper.entries", ENTRIES, force_add=True)
    sweep.master.hydra.sweeper.trials, sweep.master.hydra.sweeper.reference = 2, "ridge"
    sweep.master.hydra.sweep.dir = str(folder / "sweep")
    given = ["dataset=vectors", f"dataset.path={folder}/faces.npz", "split=listed", f"split.path={folder}/list.csv"]
    given += ["split.age_range=[1,3]", "split.seed=0", "augmentation=none", "trainer.device=cpu"]
    run_leaderboard(sweep.context(), sweep.master, print, None, given)
    return read_leaderboard(folder / "sweep")


def weights(folder: Path, board: Leaderboard) -> list[float]:
    [run] = board.entries[-1].chosen["0"].runs
    return [member["weight"] for member in json.loads(RunFolder(folder / "sweep" / run).result.read_text())["members"]]


@pytest.mark.slow
def test_nothing_is_chosen_by_the_faces_that_are_tested(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ages = np.tile([1.0, 2.0, 3.0], 40)
    vectors = rng.normal(size=(120, 6))
    vectors[:, 0] += ages
    divided = PaperSplit(age_range=(1, 3), heldout_per_age=20).divide(
        {UNDIVIDED: make_vector_set(vectors.astype(np.float32), ages, names=NAMES)}, 0
    )
    before = compare(tmp_path / "before", vectors, ages, divided)
    tested = np.isin(NAMES, divided["test"].names)
    ages[tested] = rng.permutation(ages[tested])
    vectors[tested] = 3 * rng.normal(size=vectors[tested].shape)
    after = compare(tmp_path / "after", vectors, ages, divided)
    for one, other in zip(before.entries, after.entries, strict=True):
        own, its = one.chosen["0"], other.chosen["0"]
        assert (own.trial, own.validation) == (its.trial, its.validation)
        assert own.scores["test/mae"] < its.scores["test/mae"]
    assert weights(tmp_path / "before", before) == weights(tmp_path / "after", after)

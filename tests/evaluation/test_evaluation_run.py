"""Which rows of a dataset are predicted."""

from pathlib import Path

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import Vectors
from vec2uage.data.splits import Split
from vec2uage.evaluation.run import rows


def dataset(folder: Path, **options: object) -> Vectors:
    """Ten faces of each age from 1 to 5, one of them twice, and none of age 4."""
    ages = np.repeat([1, 2, 3, 5], 10) + 0.25
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    vectors[1] = vectors[0]
    np.savez(folder / "faces.npz", vectors=vectors, ages=ages)
    defaults = {"age_range": (1, 3), "heldout_per_age": 4}
    return Vectors(path=str(folder / "faces.npz"), **{**defaults, **options})  # type: ignore[arg-type]


def test_all_are_the_rows_of_the_age_range_duplicates_and_gaps_included(tmp_path: Path) -> None:
    assert len(rows(dataset(tmp_path), "all", None)) == 30
    assert len(rows(dataset(tmp_path, age_range=(3, 5)), "all", None)) == 20
    with pytest.raises(UserError, match="no rows of the ages 90-99"):
        rows(dataset(tmp_path, age_range=(90, 99)), "all", None)


def test_whole_years_are_the_label_of_all_rows_where_asked_for(tmp_path: Path) -> None:
    assert set(rows(dataset(tmp_path), "all", None).ages.tolist()) == {1.25, 2.25, 3.25}
    assert set(rows(dataset(tmp_path, label="whole"), "all", None).ages.tolist()) == {1, 2, 3}


def test_parts_are_those_of_training(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    parts = data.parts(0)
    for part in ("train", "validation", "test"):
        assert rows(data, part, None).names.tolist() == getattr(parts, part).names.tolist()
    with pytest.raises(UserError, match="no rows of age 4"):
        rows(dataset(tmp_path, age_range=(3, 5)), "test", None)


def test_a_split_of_the_runs_seed_needs_that_seed(tmp_path: Path) -> None:
    data = dataset(tmp_path, split=Split(seed="run"))
    assert rows(data, "test", 7).names.tolist() == data.parts(7).test.names.tolist()
    assert len(rows(data, "all", None)) == 30
    with pytest.raises(UserError, match=r"dataset\.split\.seed=run, but no result\.json .* tells the seed"):
        rows(data, "test", None)

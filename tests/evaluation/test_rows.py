"""Which rows of a dataset are predicted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import VectorFile
from vec2uage.data.loading import divided
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import Label
from vec2uage.data.splits import NoSplit
from vec2uage.evaluation.rows import is_of_same_data, is_of_same_split, rows
from vec2uage.runs.folder import RunFolder

SPLIT = PaperSplit(age_range=(1, 3), heldout_per_age=4)
WITH_A_GAP = replace(SPLIT, age_range=(3, 5))


def dataset(folder: Path, label: Label = "exact") -> VectorFile:
    """Ten faces of each age from 1 to 5, one of them twice, and none of age 4."""
    ages = np.repeat([1, 2, 3, 5], 10) + 0.25
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    vectors[1] = vectors[0]
    np.savez(folder / "faces.npz", vectors=vectors, ages=ages)
    return VectorFile(path=str(folder / "faces.npz"), label=label)


def test_all_are_the_rows_that_the_split_takes_duplicates_and_gaps_included(tmp_path: Path) -> None:
    assert len(rows(dataset(tmp_path), SPLIT, "all", None)) == 30
    assert len(rows(dataset(tmp_path), WITH_A_GAP, "all", None)) == 20
    assert len(rows(dataset(tmp_path), NoSplit(), "all", None)) == 40
    with pytest.raises(UserError, match="no rows of the ages 90-99"):
        rows(dataset(tmp_path), replace(SPLIT, age_range=(90, 99)), "all", None)


def test_whole_years_are_the_label_of_all_rows_where_asked_for(tmp_path: Path) -> None:
    for label, years in (("exact", {1.25, 2.25, 3.25}), ("whole", {1, 2, 3})):
        ages = rows(dataset(tmp_path, label), SPLIT, "all", None).ages  # type: ignore[arg-type]
        assert ages is not None
        assert set(ages.tolist()) == years


def test_parts_are_those_of_training(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    for name, part in divided(data, SPLIT, 0).items():
        assert rows(data, SPLIT, name, None).names.tolist() == part.names.tolist()
    with pytest.raises(UserError, match="no rows of age 4"):
        rows(data, WITH_A_GAP, "test", None)


def test_a_split_of_the_runs_seed_needs_that_seed(tmp_path: Path) -> None:
    data, split = dataset(tmp_path), replace(SPLIT, seed="run")
    assert rows(data, split, "test", 7).names.tolist() == divided(data, split, 7)["test"].names.tolist()
    assert len(rows(data, split, "all", None)) == 30
    with pytest.raises(UserError, match=r"split\.seed=run, but no result\.json .* tells the seed"):
        rows(data, split, "test", None)


def test_data_that_a_run_was_trained_on_are_told_by_where_they_lie(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert not is_of_same_data({"dataset": {"path": "set"}}, run), "no config.yaml"
    run.config.write_text(yaml.dump({"dataset": {"path": str(tmp_path / "set"), "label": "exact"}}))
    paths = {"set": True, "set/train.arrow": True, "other/../set": True, "set2": False, "other/train.arrow": False}
    found = {path: is_of_same_data({"dataset": {"path": str(tmp_path / path), "seed": 0}}, run) for path in paths}
    assert found == paths
    config = {"dataset": {"path": str(tmp_path / "set")}, "split": {"seed": 0}}
    assert not is_of_same_split(config, run)
    run.config.write_text(yaml.dump(config))
    assert is_of_same_split(config, run)
    assert not is_of_same_split({**config, "split": {"seed": 1}}, run)
    run.config.write_text(yaml.dump({"dataset": {"size": "small", "label": "exact"}}))
    assert is_of_same_data({"dataset": {"size": "small", "label": "whole"}}, run)
    assert not is_of_same_data({"dataset": {"size": "paper", "label": "exact"}}, run)

"""A set with augmented faces is audited and divided by its photographs; the paper's files name every face once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vec2uage.base.csv_file import read_csv
from vec2uage.data.dataset_folder import clear, complete, divide, write
from vec2uage.data.figures import plot_counts
from vec2uage.data.leakage import Leakage
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import fingerprint
from vec2uage.data.prepared import Prepared, find_set
from vec2uage.data.readers import read
from vec2uage.data.splits import NoSplit, Split
from vec2uage.data.vectorset import VectorSet, make_vector_set

HELD_OUT = PaperSplit(age_range=(5, 6), heldout_per_age=4, group="none")


def searched(action: str) -> Leakage:
    return Leakage(action=action, near_duplicate=0.95, signature_bits=None, same_person=None, group_same_person=False)  # type: ignore[arg-type]


@pytest.fixture
def family() -> VectorSet:
    """20 photographs, of which the last is a copy of the first; each has a child that is like it, children first."""
    photographed = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    photographed[19] = photographed[0] * 1.001
    names = [f"p{k}" for k in range(20)]
    return make_vector_set(
        np.concatenate([photographed * 1.01, photographed]),
        np.tile(np.repeat([5, 6], 10), 2),
        names=[*(f"{name}+" for name in names), *names],
        parents=[*names, *[""] * 20],
        encoder="test",
    )


@pytest.mark.parametrize("action", ["report", "group", "drop"])
@pytest.mark.parametrize("split", [HELD_OUT, NoSplit()])
def test_augmented_faces_are_no_copies_and_stay_with_their_parents(
    family: VectorSet, action: str, split: Split
) -> None:
    divided = divide(family, split, searched(action), {}, {})
    assert divided.leakage["pairs"]["near_duplicate"] == 1
    copies = {"p19", "p19+"} if action == "drop" else set()
    for part, rows in divided.parts.items():
        photographed = set(rows.names[rows.parents == ""])
        children = {f"{name}+" for name in photographed} if part in ("train", "vectors") else set()
        assert set(rows.names) - photographed == children
    everywhere = {name for rows in divided.parts.values() for name in rows.names if not name.endswith("+")}
    assert everywhere == {f"p{k}" for k in range(20)} - copies


def test_the_papers_two_files_can_be_merged_again(family: VectorSet, tmp_path: Path) -> None:
    divided = divide(family, HELD_OUT, searched("report"), {}, {})
    write(divided, tmp_path, with_json=True)
    names = [read(tmp_path / name).names.tolist() for name in ("train.json", "heldout.json")]
    assert len({name for of_file in names for name in of_file}) == len(names[0]) + len(names[1]) == 32


def test_a_part_to_calibrate_with_is_written_and_read_again_and_cleared(family: VectorSet, tmp_path: Path) -> None:
    divided = divide(family, replace(HELD_OUT, calibration_per_age=2), searched("group"), {}, {})
    assert list(divided.parts) == ["train", "validation", "calibration", "test"]
    copies = {part for part, rows in divided.parts.items() if {"p0", "p19"} & set(rows.names)}
    assert len(copies) <= 1
    complete(divided, tmp_path, write(divided, tmp_path, with_json=False), inputs={}, options={})
    assert fingerprint(Prepared(path=str(tmp_path)).parts()) == fingerprint(divided.parts)
    assert find_set(tmp_path).about["parts"]["calibration"]["per_age"] == {"5": 2, "6": 2}  # type: ignore[union-attr]
    clear(tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_and_sources_may_be_anything(tmp_path: Path) -> None:
    names = [f"=cmd|' /C calc'!A{k}\x1b[31m\n$" for k in range(20)]
    vs = make_vector_set(
        np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32),
        np.repeat([5, 6], 10),
        names=names,
        subjects=[f"@{k}" for k in range(20)],
        source=["$\\frac{$", "_hidden"] * 10,
        gender=["female", ""] * 10,
        encoder="test",
    )
    leakage = Leakage(
        action="report", near_duplicate=0.5, signature_bits=None, same_person=None, group_same_person=False
    )
    write(divide(vs, NoSplit(), leakage, {}, {}), tmp_path, with_json=True)
    assert set(read(tmp_path / "vectors.arrow").names) == set(names)
    pairs = read_csv(tmp_path / "leakage.csv")
    assert pairs
    assert {row["name_a"] for row in pairs} <= set(names)
    assert (tmp_path / "leakage.csv").read_text().count("'=cmd") == 2 * len(pairs)
    assert len(list(tmp_path.glob("*.png"))) == 4
    legend = plot_counts(vs).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [r"\$\frac{\$ (10)", "_hidden (10)"]
    assert not [path for path in tmp_path.iterdir() if path.stat().st_mode & 0o077]

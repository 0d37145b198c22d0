"""Training takes exactly what it asks for from the faces that were made, and refuses faces of anything else."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vec2uage.augmentation.augmented_set import (
    AUGMENTED,
    find_augmented,
    folder_of,
    is_complete,
    read_for,
    refuse_other_options,
)
from vec2uage.augmentation.balance import AugmentedBalance
from vec2uage.augmentation.generate import TrainingPart, generate
from vec2uage.augmentation.write_set import write_set
from vec2uage.base.atomic import write_json
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import describe, write_manifest
from vec2uage.data import storage
from vec2uage.data.balance import Balance
from vec2uage.data.prepared import DESCRIPTION
from vec2uage.data.vectorset import VectorSet

AGES = [1.0, 1.5, 1.9, 2.0, *[3.25] * 14]
MOST = 9


def describe_set(folder: Path, fingerprint: str) -> None:
    about = {"fingerprint": fingerprint, "parts": {}, "leakage": {}}
    write_manifest(folder / DESCRIPTION, describe(folder, [], about=about, inputs={}, options={}))


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, family: Any, rows_of: Any, augmenter_in: Any, composed: Any
) -> tuple[AugmentedBalance, VectorSet]:
    """A set whose ages were filled, and its training rows."""
    folder = tmp_path_factory.mktemp("set")
    sources = family(folder / "photos", AGES)
    train = rows_of(list(sources.values()))
    augmentation = replace(composed("published", f"augmentation.train_per_age={MOST}"), folder=str(folder))
    describe_set(folder, train.fingerprint())
    part = TrainingPart(folder, train, sources)
    with augmenter_in(folder) as augmenter:
        write_set(generate(augmentation, part, augmenter), augmentation, part, augmenter)
    return augmentation, train


@pytest.fixture
def copied(made: tuple[AugmentedBalance, VectorSet], tmp_path: Path) -> tuple[AugmentedBalance, VectorSet, Path]:
    """The same in a folder that a test may damage."""
    augmentation, train = made
    shutil.copytree(str(augmentation.folder), tmp_path / "set")
    return replace(augmentation, folder=str(tmp_path / "set")), train, tmp_path / "set"


def augmented_of(vs: VectorSet, age: int) -> list[str]:
    return vs.names[(vs.parents != "") & (np.floor(vs.ages) == age)].tolist()


@given(wanted=st.integers(1, MOST))
def test_every_age_gets_exactly_its_rows_photographed_ones_first(
    made: tuple[AugmentedBalance, VectorSet], wanted: int
) -> None:
    augmentation, train = made
    applied = replace(augmentation, train_per_age=wanted).apply(train)
    assert Counter(np.floor(applied.ages).tolist()) == {1: wanted, 2: wanted, 3: wanted}
    assert len(set(applied.names)) == len(applied)
    balanced = Balance(train_per_age=wanted, seed=augmentation.seed).apply(train)
    photographed = applied.names[applied.parents == ""].tolist()
    assert photographed == [name for name in balanced.names if "#" not in name]
    assert applied.names[: len(photographed)].tolist() == photographed
    every = augmentation.apply(train)
    for age in (1, 2, 3):
        some = augmented_of(applied, age)
        assert some == augmented_of(every, age)[: len(some)]


def test_an_augmented_face_has_the_age_and_person_of_its_source(made: tuple[AugmentedBalance, VectorSet]) -> None:
    augmentation, train = made
    applied = augmentation.apply(train)
    row = {name: number for number, name in enumerate(train.names)}
    augmented = applied.take(applied.parents != "")
    sources = train.take(np.array([row[name] for name in augmented.parents]))
    for column in ("ages", "subjects", "source", "gender"):
        assert getattr(augmented, column).tolist() == getattr(sources, column).tolist()
    assert applied.encoder == train.encoder
    whole = augmentation.apply(replace(train, ages=np.floor(train.ages)))
    assert set(whole.ages.tolist()) == {1, 2, 3}
    assert whole.names.tolist() == applied.names.tolist()


@given(rows=st.sets(st.integers(0, len(AGES) - 1), min_size=1))
@settings(max_examples=30)
def test_faces_of_left_out_sources_are_never_used(made: tuple[AugmentedBalance, VectorSet], rows: set[int]) -> None:
    augmentation, train = made
    some = train.take(np.array(sorted(rows)))
    four = replace(augmentation, train_per_age=4)
    every = storage.load(folder_of(Path(str(augmentation.folder)), augmentation.name) / "train.arrow")
    usable = every.take(np.isin(every.names, some.names) | np.isin(every.parents, some.names))
    if min(Counter(np.floor(usable.ages).tolist()).values()) < 4:
        with pytest.raises(UserError, match="too few faces were made"):
            four.apply(some)
        return
    applied = four.apply(some)
    assert {*applied.parents.tolist()} - {""} <= {*some.names.tolist()}
    assert set(Counter(np.floor(applied.ages).tolist()).values()) == {4}


def test_more_than_was_made_is_refused(made: tuple[AugmentedBalance, VectorSet]) -> None:
    augmentation, train = made
    with pytest.raises(UserError, match=r"train_per_age = 10: too few faces .*\(age 1 has 9, age 2 has 9\): lower it"):
        replace(augmentation, train_per_age=10).apply(train)


def test_without_a_prepared_set_or_its_faces_the_sentence_says_what_to_do(
    made: tuple[AugmentedBalance, VectorSet], tmp_path: Path
) -> None:
    augmentation, train = made
    with pytest.raises(UserError, match="augmentation=published needs the faces of photographs: take dataset=prepared"):
        replace(augmentation, folder=None).apply(train)
    with pytest.raises(UserError, match=r"no dataset\.json in this folder"):
        replace(augmentation, folder=str(tmp_path)).apply(train)
    with pytest.raises(
        UserError, match=r"no augmented faces here; make them with: python -m vec2uage.augment task=generate path="
    ):
        replace(augmentation, name="mine").apply(train)


def test_a_set_that_was_prepared_anew_is_refused(copied: tuple[AugmentedBalance, VectorSet, Path]) -> None:
    augmentation, train, folder = copied
    describe_set(folder, "other")
    with pytest.raises(UserError, match=r"before it was prepared anew; run: python -m vec2uage.augment task=generate"):
        augmentation.apply(train)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["augmentation.op.rotation.angle=6"], r"\(augmentation\.op\.rotation\.angle: 5 there, 6 now\)"),
        (["augmentation.seed=1"], r"\(augmentation\.seed: 0 there, 1 now\)"),
        (["augmentation.keep.threshold=0.5"], r"\(augmentation\.keep\.threshold: 0\.6 there, 0\.5 now\)"),
        (["~augmentation.op.flip"], r"\(augmentation\.op: \['flip', "),
    ],
)
def test_faces_of_other_options_are_refused_with_the_options(
    made: tuple[AugmentedBalance, VectorSet], composed: Any, overrides: list[str], named: str
) -> None:
    augmentation, train = made
    other = replace(composed("published", *overrides), folder=augmentation.folder)
    with pytest.raises(UserError, match=f"made with other options than these {named}"):
        other.apply(train)


def test_faces_of_another_order_of_operations_are_refused(made: tuple[AugmentedBalance, VectorSet]) -> None:
    augmentation, train = made
    other = replace(augmentation, op=augmentation.op[::-1])
    assert other.recipe.fingerprint != augmentation.recipe.fingerprint
    with pytest.raises(UserError, match="made with other options"):
        other.apply(train)


def test_an_operation_may_be_named_like_an_option(made: tuple[AugmentedBalance, VectorSet], tmp_path: Path) -> None:
    augmentation, _ = made
    found = find_augmented(folder_of(Path(str(augmentation.folder)), augmentation.name))
    named = replace(augmentation, op=(("seed", augmentation.op[0][1]),))
    write_manifest(tmp_path / AUGMENTED, replace(found, files={}, options=named.options()))
    refuse_other_options(tmp_path, named)
    with pytest.raises(UserError, match=r"\(augmentation\.seed: 0 there, 1 now\)"):
        refuse_other_options(tmp_path, replace(named, seed=1))
    (tmp_path / AUGMENTED).write_text('{"options": {}}')  # as of an earlier version
    with pytest.raises(UserError, match=r"of another version.*overwrite=true"):
        refuse_other_options(tmp_path, named)


@pytest.mark.parametrize("file", ["train.arrow", "children.csv"])
def test_complete_is_what_is_whole_and_of_the_same_options(
    copied: tuple[AugmentedBalance, VectorSet, Path], file: str
) -> None:
    augmentation, _, folder = copied
    assert is_complete(folder, augmentation)
    assert not is_complete(folder, replace(augmentation, train_per_age=MOST - 1))
    assert not is_complete(folder, replace(augmentation, images="jpeg"))
    with (folder_of(folder, augmentation.name) / file).open("ab") as stream:
        stream.write(b"1")
    assert not is_complete(folder, augmentation)


def test_damaged_files_are_refused(copied: tuple[AugmentedBalance, VectorSet, Path]) -> None:
    augmentation, train, folder = copied
    file = folder_of(folder, augmentation.name) / "train.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"train\.arrow: not the file that augmented\.json describes"):
        augmentation.apply(train)
    augmentation.check_files()
    file.unlink()
    for use in (augmentation.check_files, lambda: augmentation.apply(train)):
        with pytest.raises(UserError, match=r"train\.arrow: missing; run: python -m vec2uage\.augment"):
            use()


def test_an_augmentation_in_which_nothing_happens_is_refused(composed: Any) -> None:
    never = [f"augmentation.op.{name}.probability=0" for name, _ in composed("published").op]
    with pytest.raises(UserError, match="augmentation: no operation has a probability above 0"):
        composed("published", *never)


def test_faces_that_are_training_rows_already_are_not_taken_twice(
    copied: tuple[AugmentedBalance, VectorSet, Path],
) -> None:
    augmentation, train, folder = copied
    file = folder_of(folder, augmentation.name) / "train.arrow"
    whole = storage.load(file)
    merged = whole.take(np.arange(len(train) + 2))  # a set that holds two augmented faces among its own rows
    names = replace(augmentation, train_per_age=1).apply(merged).names
    assert len(set(names)) == len(names)
    assert set(read_for(merged, folder, augmentation).names).isdisjoint(merged.names)


def test_what_says_too_little_is_no_description(tmp_path: Path) -> None:
    write_json(tmp_path / AUGMENTED, {})
    assert find_augmented(tmp_path) is None


def test_faces_are_drawn_again_as_those_whose_vectors_were_kept(made: tuple[AugmentedBalance, VectorSet]) -> None:
    augmentation, train = made
    rows, drawn = augmentation.apply(train), augmentation.drawn()
    photographs = Path(str(augmentation.folder)) / "photos"
    again = rows.take(np.isin(rows.names, list(drawn)))
    assert len(again) == len(drawn) == 3 * MOST - 4 - 9
    assert len({one.made_by for one in drawn.values()}) == len(drawn)
    for name, parent, vector in zip(again.names, again.parents, again.vectors, strict=True):
        assert drawn[name].parent == parent
        pixels = drawn[name].draw(np.asarray(Image.open(photographs / parent)))
        np.testing.assert_array_equal(2 * pixels.reshape(-1, 3).mean(0, dtype=np.float32), vector)  # `MeanColour`


def test_faces_that_cannot_be_drawn_again_are_refused(copied: tuple[AugmentedBalance, VectorSet, Path]) -> None:
    augmentation, _, prepared = copied
    folder = folder_of(prepared, augmentation.name)
    found = find_augmented(folder)
    assert found is not None
    write_manifest(folder / AUGMENTED, replace(found, inputs=found.inputs | {"recipe": "of another Pillow"}))
    with pytest.raises(UserError, match=r"other versions of Augmentor, Pillow.*overwrite=true"):
        augmentation.drawn()
    table = folder / "children.csv"
    without = "\n".join(line.partition(",")[0] for line in table.read_text().splitlines())
    write_manifest(folder / AUGMENTED, found)
    table.write_text(without)
    with pytest.raises(UserError, match=r"children\.csv: missing, or not the file.*overwrite=true"):
        augmentation.drawn()
    same = {"about": found.about, "inputs": found.inputs, "options": found.options}
    write_manifest(folder / AUGMENTED, describe(folder, ("train.arrow", "children.csv"), **same))
    with pytest.raises(UserError, match=r"children\.csv: written by an earlier version.*overwrite=true"):
        augmentation.drawn()

"""A prepared folder: read as it was written, refused where it is not complete or not itself."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from vec2uage.base.errors import UserError
from vec2uage.base.manifest import describe as manifest_of
from vec2uage.base.manifest import write_manifest
from vec2uage.data import storage
from vec2uage.data.prepared import DESCRIPTION, PARTS, HeldOut, NoSplit, Prepared, part_file

PAPER = {"heldout_per_age": 2, "missing_ages": "refuse", "seed": 0, "group": "auto"}


def describe(folder: Path, names=PARTS) -> None:
    files = [part_file(folder, name).name for name in names]
    write_manifest(folder / DESCRIPTION, manifest_of(folder, files, about={}, inputs={}, options={}))


def prepared(folder: Path, age_range=None, label="exact") -> Prepared:
    return Prepared(path=str(folder), age_range=age_range, label=label)


@pytest.fixture
def folder(faces, tmp_path) -> Path:
    """Four faces of each of the ages 1.5, 2.5 and 30.5 in every part."""
    vs = faces([1.5, 2.5, 30.5] * 12)
    for number, part in enumerate(PARTS):
        storage.save(vs.take(np.arange(12 * number, 12 * (number + 1))), part_file(tmp_path, part))
    describe(tmp_path)
    return tmp_path


def test_all_rows_are_taken_unless_ages_are_asked_for(folder):
    parts = prepared(folder).parts(0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [12] * 3
    assert len(prepared(folder).read()) == 36
    assert set(prepared(folder, (1, 18)).read().ages.tolist()) == {1.5, 2.5}
    parts = prepared(folder, (1, 1), "floor").parts(0)
    assert (set(parts.train.ages.tolist()), set(parts.test.ages.tolist())) == ({1.0}, {1.5})
    with pytest.raises(UserError, match=r"train\.arrow: no row of the ages 3-4"):
        prepared(folder, (3, 4)).read()


@pytest.mark.parametrize(
    "use", [lambda dataset: dataset.parts(0), lambda dataset: dataset.read(), lambda dataset: dataset.check_files()]
)
def test_a_folder_that_is_not_complete_is_refused(folder, use):
    (folder / DESCRIPTION).unlink()
    with pytest.raises(UserError, match=r"if it was interrupted, run the same vec2uage\.prepare command again"):
        use(prepared(folder))
    with pytest.raises(UserError, match="none: no such folder"):
        use(prepared(folder / "none"))


def test_a_damaged_description_or_one_of_another_version_is_one_sentence(folder):
    (folder / DESCRIPTION).write_text('{"parts": {"train": {"sha256": "ab"}}}')
    with pytest.raises(UserError, match=r"dataset\.json: damaged"):
        prepared(folder).read()


def test_a_part_of_another_command_or_none_is_refused(folder):
    validation, test = (part_file(folder, part) for part in PARTS[1:])
    test.write_bytes(validation.read_bytes())
    with pytest.raises(UserError, match=r"test\.arrow: missing or not the file that dataset\.json describes"):
        prepared(folder).parts(0)
    describe(folder)
    with pytest.raises(UserError, match="is in validation and in test"):
        prepared(folder).parts(0)
    prepared(folder).check_files()
    test.unlink()
    for use in (prepared(folder).check_files, prepared(folder).read):
        with pytest.raises(UserError, match=r"test\.arrow: missing"):
            use()


def test_a_folder_without_a_split_says_what_to_do(folder):
    part_file(folder, "train").rename(part_file(folder, "vectors"))
    describe(folder, ("vectors",))
    with pytest.raises(UserError, match=r"prepared without a split: take its vectors\.arrow with dataset=vectors"):
        prepared(folder).parts(0)


def test_ages_in_the_wrong_order_are_refused(folder):
    for make in (lambda ages: prepared(folder, ages), lambda ages: HeldOut(age_range=ages, **PAPER)):
        with pytest.raises(ValidationError, match="the first age must not be above the last"):
            make((18, 1))


def test_a_split_tells_which_rows_it_uses(faces):
    vs = faces([0.5, 1.0, 18.9, 19.0])
    assert HeldOut(age_range=(1, 18), **PAPER).used(vs).ages.tolist() == pytest.approx([1.0, 18.9])
    assert NoSplit().used(vs) is vs
    with pytest.raises(UserError, match=r"^split: no rows of the ages 50-60: set age_range"):
        HeldOut(age_range=(50, 60), **PAPER).used(vs)

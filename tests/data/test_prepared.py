"""A prepared folder: read as it was written, refused where it is not complete or not itself."""

from pathlib import Path

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.base.manifest import describe as manifest_of
from vec2uage.base.manifest import write_manifest
from vec2uage.data import storage
from vec2uage.data.parts import PARTS
from vec2uage.data.prepared import DESCRIPTION, Prepared, find_set, part_file


def describe(folder: Path, names=PARTS) -> None:
    files = [part_file(folder, name).name for name in names]
    write_manifest(folder / DESCRIPTION, manifest_of(folder, files, about={}, inputs={}, options={}))


def prepared(folder: Path) -> Prepared:
    return Prepared(path=str(folder))


@pytest.fixture
def folder(faces, tmp_path) -> Path:
    """Four faces of each of the ages 1.5, 2.5 and 30.5 in every part."""
    vs = faces([1.5, 2.5, 30.5] * 12)
    for number, part in enumerate(PARTS):
        storage.save(vs.take(np.arange(12 * number, 12 * (number + 1))), part_file(tmp_path, part))
    describe(tmp_path)
    return tmp_path


def test_all_parts_are_read(folder):
    assert {name: len(part) for name, part in prepared(folder).parts().items()} == dict.fromkeys(PARTS, 12)
    assert len(prepared(folder).read()) == 36
    part_file(folder, "calibration").write_bytes(part_file(folder, "test").read_bytes())
    describe(folder, (*PARTS, "calibration"))
    with pytest.raises(UserError, match="is in test and in calibration"):
        prepared(folder).parts()


@pytest.mark.parametrize(
    "use", [lambda dataset: dataset.parts(), lambda dataset: dataset.read(), lambda dataset: dataset.check_files()]
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
    assert find_set(folder) is None


def test_a_part_of_another_command_or_none_is_refused(folder):
    validation, test = (part_file(folder, part) for part in PARTS[1:])
    test.write_bytes(validation.read_bytes())
    with pytest.raises(UserError, match=r"test\.arrow: missing or not the file that dataset\.json describes"):
        prepared(folder).parts()
    describe(folder)
    with pytest.raises(UserError, match="is in validation and in test"):
        prepared(folder).parts()
    prepared(folder).check_files()
    test.unlink()
    for use in (prepared(folder).check_files, prepared(folder).read):
        with pytest.raises(UserError, match=r"test\.arrow: missing"):
            use()


def test_a_folder_without_a_split_says_what_to_do(folder):
    part_file(folder, "train").rename(part_file(folder, "vectors"))
    describe(folder, ("vectors",))
    with pytest.raises(UserError, match=r"prepared without a split: take its vectors\.arrow with dataset=vectors"):
        prepared(folder).parts()

"""A manifest is read back as it was written, tells a whole folder from a damaged one, and names changed options."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vec2uage.base.errors import UserError
from vec2uage.base.manifest import (
    Manifest,
    describe,
    differences,
    find_manifest,
    is_current,
    is_whole,
    read_manifest,
    refuse_unreadable,
    write_manifest,
)

MADE_OF: dict[str, Any] = {"inputs": {"photographs": "ab12"}, "options": {"ages": (1, 18), "split": {"seed": 0}}}


@pytest.fixture
def made(tmp_path: Path) -> Manifest:
    (tmp_path / "parts").mkdir()
    for name in ("train.arrow", "parts/test.arrow"):
        (tmp_path / name).write_text(name)
    return describe(tmp_path, ["train.arrow", "parts/test.arrow"], about={"rows": {"train": 3}}, **MADE_OF)


def test_it_is_read_back_as_it_was_written(made: Manifest, tmp_path: Path) -> None:
    write_manifest(tmp_path / "set.json", made)
    assert read_manifest(tmp_path / "set.json") == made
    told = json.loads((tmp_path / "set.json").read_text())
    assert told.keys() == {"rows", "inputs", "options", "code", "files", "provenance", "digest"}
    with pytest.raises(ValueError, match="'files' is a key of every manifest"):
        write_manifest(tmp_path / "set.json", replace(made, about={"files": 3}))


def test_a_changed_value_is_told_and_a_file_without_digest_taken_as_it_is(made: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "set.json"
    write_manifest(file, made)
    file.write_text(file.read_text().replace('"train": 3', '"train": 7'))
    with pytest.raises(UserError, match=r"set\.json: damaged.*digest"):
        read_manifest(file)
    file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != "digest"}))
    assert read_manifest(file).about == {"rows": {"train": 7}}


def test_it_tells_whole_and_current_from_damaged_and_outdated(made: Manifest, tmp_path: Path) -> None:
    assert is_current(made, tmp_path, **MADE_OF)
    assert not is_current(made, tmp_path, inputs={"photographs": "other"}, options=MADE_OF["options"])
    assert not is_current(made, tmp_path, inputs=MADE_OF["inputs"], options={"ages": [1, 18]})
    assert not is_current(replace(made, code="older"), tmp_path, **MADE_OF)
    (tmp_path / "parts/test.arrow").write_text("another")
    assert not is_whole(made, tmp_path)
    (tmp_path / "parts/test.arrow").unlink()
    assert not is_whole(made, tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\xff", "[" * 100_000, '{"parts": {"train": {"sha256": "ab"}}, "options": {}, "code": ""}']
)
def test_what_is_no_manifest_is_one_sentence_or_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "set.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"set\.json: (damaged, or of another version|unreadable)") as refusal:
        read_manifest(file)
    assert "\n" not in str(refusal.value)
    assert find_manifest(file) is None
    with pytest.raises(UserError, match=r"set\.json: .*overwrite=true"):
        refuse_unreadable(file)
    file.unlink()
    refuse_unreadable(file)
    with pytest.raises(UserError, match=r"set\.json: no such file"):
        read_manifest(file)


def test_changed_options_are_named_with_both_values() -> None:
    before, now = (
        {"a": 1, "split": {"seed": 0, "group": "auto"}},
        {"a": 1, "split": {"seed": 2, "group": "auto"}, "b": 3},
    )
    assert differences(before, now, "x.") == "x.split.seed: 0 there, 2 now; x.b: None there, 3 now"
    assert differences(now, now) == ""
    assert differences({}, {str(k): k for k in range(5)}).endswith(" and 2 more")

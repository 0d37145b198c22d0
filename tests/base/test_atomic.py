"""Files are replaced whole or left as they were."""

import errno
import json
import math
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.atomic import json_text, remove_unfinished, replacing, write_json, write_last, write_text


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    write_text(target, "old")

    def interrupted() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_success_replaces_the_file_and_makes_missing_folders(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "plot.png"
    with replacing(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".png"
        assert not target.exists()
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "result.json"

    def write(error: OSError) -> None:
        with replacing(target):
            raise error

    for error in (OSError(errno.ENOSPC, "of a library"), OSError(errno.EIO, "no such file", None)):
        with pytest.raises(OSError, match=re.escape(os.strerror(error.errno))) as raised:
            write(error)
        assert (raised.value.errno, raised.value.filename) == (error.errno, str(target))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as in_the_way:
        write_text(tmp_path / "file" / "result.json", "")
    assert in_the_way.value.filename == str(tmp_path / "file" / "result.json")
    other = FileNotFoundError(errno.ENOENT, "no such file", "photo.jpg")
    with pytest.raises(FileNotFoundError) as raised:
        write(other)
    assert raised.value is other


def test_a_name_whose_bytes_are_no_utf8_is_shown_in_json(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"name": "f\udce4ces \u00e4"})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"name": r"f\udce4ces ä"}


def test_what_is_named_complete_is_on_the_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it lies in a folder within; then the file that names it, and that it is there."""
    (tmp_path / "parts").mkdir()
    for name in ("model", "parts/rows"):
        (tmp_path / name).write_text(name)
    synced = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append("last" if path.suffix == ".json" else str(path.relative_to(tmp_path)))
        assert (tmp_path / "last.json").exists() == (len(synced) == 6)

    monkeypatch.setattr(os, "fsync", fsync)
    write_last(tmp_path / "last.json", "{}", ["model", "parts/rows"])
    assert synced == ["model", "parts/rows", ".", "parts", "last", "."]


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [1.5, math.inf, (-math.inf, "c")], "d": None})
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": None,
        "b": [1.5, None, [None, "c"]],
        "d": None,
    }


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.booleans()))
def test_finite_values_come_back_exactly(values: dict[str, object]) -> None:
    assert json.loads(json_text(values)) == values


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "faces[1].png"
    with replacing(target) as temporary:
        name = temporary.name
    target.rename(tmp_path / name)  # as a kill leaves it
    others = [target, tmp_path / ".faces[1].png", tmp_path / ".faces[1].notes.png", tmp_path / ".other.abcdefgh.png"]
    for other in others:
        other.write_bytes(b"kept")
    remove_unfinished(target)
    assert sorted(tmp_path.iterdir()) == sorted(others)

"""Every file below a folder is found once, whatever lies there."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.faces.sources.walk import text_name, walk


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return [photograph.name for photograph in walk(folder, "test")]


def test_all_files_of_all_folders_in_the_order_of_their_names(tmp_path, monkeypatch):
    touch(tmp_path, "b.jpg", "a/z.jpg", "a/b/c.txt", "a-b.jpg", "10/1.jpg", "9/1.jpg")
    found = walk(tmp_path, "test")
    assert [p.name for p in found] == ["10/1.jpg", "9/1.jpg", "a-b.jpg", "a/b/c.txt", "a/z.jpg", "b.jpg"]
    assert [p.path for p in found] == [tmp_path / p.name for p in found]
    assert {(p.age, p.source, p.problem) for p in found} == {(None, "test", "")}
    monkeypatch.chdir(tmp_path)
    assert names(Path("a/../a")) == ["b/c.txt", "z.jpg"]


def test_hidden_and_system_files_are_counted_but_not_used(tmp_path):
    touch(tmp_path, "1.jpg", ".DS_Store", "a/._1.jpg", ".thumbnails/1.jpg", "a/Thumbs.db", "a/Desktop.ini")
    problems = {p.name: p.problem for p in walk(tmp_path, "test")}
    assert len(problems) == 6
    assert [name for name, problem in problems.items() if not problem] == ["1.jpg"]
    assert "starts with a dot" in problems[".thumbnails/1.jpg"]
    assert "operating system" in problems["a/Thumbs.db"]


def test_links_to_files_are_followed_and_those_to_nothing_have_a_problem(tmp_path):
    touch(tmp_path, "outside/1.jpg", "in/2.jpg")
    (tmp_path / "in/1.jpg").symlink_to(tmp_path / "outside/1.jpg")
    (tmp_path / "in/nothing.jpg").symlink_to("missing.jpg")
    (tmp_path / "in/itself.jpg").symlink_to("itself.jpg")
    os.mkfifo(tmp_path / "in/pipe.jpg")
    problems = {p.name: p.problem for p in walk(tmp_path / "in", "test")}
    assert problems["1.jpg"] == problems["2.jpg"] == ""
    assert "link to none" in problems["nothing.jpg"]
    assert "not a regular file" in problems["pipe.jpg"]
    assert "Too many levels of symbolic links" in problems["itself.jpg"]


def test_loops_end_and_no_folder_is_entered_twice(tmp_path, caplog):
    touch(tmp_path, "photos/a/1.jpg", "photos/b/2.jpg", "outside/deep/3.jpg", "beside.jpg")
    photos = tmp_path / "photos"
    (photos / "a/self").symlink_to(".")
    (photos / "a/root").symlink_to(photos)
    (photos / "a/above").symlink_to(tmp_path)  # holds photos: to follow it would lead back here
    (photos / "a-link").symlink_to("b")
    (photos / "b/back").symlink_to("../a")
    (photos / "out1").symlink_to(tmp_path / "outside")
    (photos / "out2").symlink_to(tmp_path / "outside/deep")
    (tmp_path / "outside/deep/up").symlink_to(tmp_path / "outside")
    assert names(photos) == ["a/1.jpg", "b/2.jpg", "out1/deep/3.jpg"]
    assert "read once" in caplog.text


def test_what_is_found_does_not_depend_on_the_order_on_disk(tmp_path):
    for order, folder in ((1, tmp_path / "x"), (-1, tmp_path / "y")):
        for name in ["1/a.jpg", "2/b.jpg", "3/c.jpg"][::order]:
            touch(folder, name)
        for name in ["l1", "l2"][::order]:
            (folder / name).symlink_to("2")
    assert names(tmp_path / "x") == names(tmp_path / "y") == ["1/a.jpg", "2/b.jpg", "3/c.jpg"]


def deep_folder(root: Path) -> None:
    """Make a folder whose path is too long to be opened, which stops even the superuser."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("lost.jpg", os.O_CREAT, dir_fd=here))
    os.close(here)


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_found(tmp_path, caplog):
    deep_folder(tmp_path)
    with pytest.raises(UserError, match=r"no file below it; left out: .*cannot be read: File name too long"):
        walk(tmp_path, "test")
    touch(tmp_path, "1.jpg")
    first, closed = walk(tmp_path, "test")
    assert (first.name, first.outside, first.problem) == ("1.jpg", False, "")
    assert closed.name.endswith("d/")
    assert closed.path == tmp_path / closed.name
    assert (closed.problem_status, closed.outside) == ("unreadable", True)
    assert closed.problem == "folder cannot be read: File name too long"
    assert "1 folders are left out: ddd" in caplog.text
    assert closed.problem in caplog.text


def test_no_folder_or_nothing_in_it_is_one_sentence(tmp_path):
    touch(tmp_path, "file")
    (tmp_path / "empty/deeper").mkdir(parents=True)
    for path, message in [("missing", "no such folder"), ("file", "not a folder"), ("empty", "no file below it")]:
        with pytest.raises(UserError, match=message):
            walk(tmp_path / path, "test")


def test_odd_names_survive_and_the_path_stays_exact(tmp_path):
    odd = [b"new\nline", b"quote'\"", b"byte\xff", b"literal\\udcff", b"e\xcc\x81", b"back\\slash", b"x" * 255, b" "]
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    found = walk(tmp_path, "test")
    assert {p.path.read_bytes() for p in found} == set(odd)
    assert len({p.name.encode("utf-8") for p in found}) == len(odd)
    shown = {p.path.read_bytes(): p.name for p in found}
    assert shown[b"new\nline"] == "new\nline"
    assert shown[b"byte\xff"] == "byte\\udcff"
    assert shown[b"literal\\udcff"] == "literal\\\\udcff"
    assert shown[b"back\\slash"] == "back\\slash"


PARTS = st.lists(st.sampled_from([b"a", b"\\", b"\xff", b"\\udcff", b"\\ud", b"\xc3\xa9"]), min_size=1, max_size=6)


@given(PARTS.map(b"".join), PARTS.map(b"".join))
def test_different_files_have_different_names(one, other):
    first, second = (text_name(Path(os.fsdecode(b"/photos/" + name)), Path("/photos")) for name in (one, other))
    assert (first == second) == (one == other)
    first.encode("utf-8")

"""Every file of a case is named once by its source, whatever lies there and however it is listed."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.case.records import CaseFile
from vec2uage.case.sources.base import CaseSource
from vec2uage.case.sources.csv import Csv
from vec2uage.case.sources.folder import Folder
from vec2uage.case.sources.vics import Vics
from vec2uage.case.sources.walk import matches
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.config.validate import check_group, refuse, to_container


def composed(choice: str, *overrides: str) -> Any:
    """Make `source=choice` as the command line does."""
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        plain = to_container(compose(None, [f"+source={choice}", *overrides]))
    problems: list[str] = []
    made = check_group(plain["source"], "source", CaseSource, problems)
    refuse(problems)
    return made


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files in it."""
    touch(tmp_path, "photos/a.jpg", "photos/deep/er/b.JPG", "photos/.hidden/c.jpg", "card/x/1.jpg", "card/x/2.png")
    touch(tmp_path, "card/1.jpg", "one[1].jpg", "elsewhere/lost.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(path: str | tuple[str, ...]) -> list[str]:
    return sorted(file.name for file in Folder(path=path).files())


def test_sources_are_made_of_what_is_typed() -> None:
    assert composed("folder", "source.path=-") == Folder(path="-")
    assert composed("folder", "source.path=[phone,'card/**/*.jpg']") == Folder(path=("phone", "card/**/*.jpg"))
    assert composed("csv", "source.path=a.csv") == Csv(path="a.csv", root=None)
    assert composed("vics", "source.path=a.json", "source.root=media") == Vics(path="a.json", root="media")
    with pytest.raises(UserError, match="path"):
        composed("folder", "source.path=[]")


def test_a_folder_gives_all_files_below_it(case: Path) -> None:
    assert names("photos") == names("photos/") == [".hidden/c.jpg", "a.jpg", "deep/er/b.JPG"]
    (found,) = Folder(path=f"{case}/elsewhere").files()
    assert (found.name, found.path, found.problem, found.hashes) == ("lost.jpg", case / "elsewhere/lost.jpg", "", {})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("photos/a.jpg", ["photos/a.jpg"]),
        ("*/*.jpg", ["card/1.jpg", "elsewhere/lost.jpg", "photos/a.jpg"]),
        ("card/**/*.jpg", ["card/1.jpg", "card/x/1.jpg"]),
        ("card/**", ["card/1.jpg", "card/x/1.jpg", "card/x/2.png"]),
        ("**/x", ["card/x/1.jpg", "card/x/2.png"]),  # a folder that matches: all below it
        ("p*", ["photos/.hidden/c.jpg", "photos/a.jpg", "photos/deep/er/b.JPG"]),
        ("one[1].jpg", ["one[1].jpg"]),  # is there, so no pattern
        ("one[[]?].jpg", ["one[1].jpg"]),
        (
            ("elsewhere", "card/x", "photos/a.jpg"),
            ["card/x/1.jpg", "card/x/2.png", "elsewhere/lost.jpg", "photos/a.jpg"],
        ),
    ],
)
def test_patterns_and_several_paths_name_files_as_they_were_given(
    case: Path, path: str | tuple[str, ...], expected: list[str]
) -> None:
    assert names(path) == expected
    assert all((case / name).samefile(name) for name in expected)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing", "nothing: no such file or folder"),
        ("nothing/*.jpg", "no such folder"),
        ("card/*.gif", r"card/\*.gif: no file"),
        ("empty", "empty: no file"),
        (("photos", "nothing"), "nothing: no such"),
        ("x" * 300, "no such file"),
    ],
)
def test_where_nothing_is_it_is_one_sentence(case: Path, path: str | tuple[str, ...], message: str) -> None:
    (case / "empty/deeper").mkdir(parents=True)
    with pytest.raises(UserError, match=message):
        list(Folder(path=path).files())


def test_what_is_no_file_is_counted_and_links_are_not_followed(case: Path) -> None:
    (case / "photos/link.jpg").symlink_to(case / "elsewhere/lost.jpg")
    (case / "photos/folder").symlink_to(case / "elsewhere")
    (case / "photos/loop").symlink_to(".")
    (case / "photos/nothing").symlink_to("missing")
    os.mkfifo(case / "photos/pipe.jpg")
    found = {file.name: file for file in Folder(path="photos").files()}
    odd = {"link.jpg", "folder", "loop", "nothing", "pipe.jpg"}
    assert found.keys() == odd | {".hidden/c.jpg", "a.jpg", "deep/er/b.JPG"}
    assert {name for name, file in found.items() if file.problem} == odd
    assert {found[name].status for name in odd} == {"no_media"}
    (case / "way").symlink_to("elsewhere")
    assert names("way") == ["lost.jpg"]  # what is typed is meant


def test_a_folder_that_cannot_be_read_is_a_failure_of_its_own(case: Path) -> None:
    here = os.open(case / "photos", os.O_RDONLY)
    for _ in range(20):  # a path too long to be opened, which stops even the superuser
        os.mkdir("d" * 250, dir_fd=here)
        here = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
    problems = {file.name: file for file in Folder(path="photos").files() if file.problem}
    ((name, closed),) = problems.items()
    assert name.endswith("dd/")
    assert closed.status == "unreadable"
    assert "name too long" in closed.problem


def test_a_folder_is_read_as_its_files_are_asked_for(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        touch(case, f"many/{number}/1.jpg")
    entered = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: entered.append(path) or scandir(path))
    assert len(list(islice(Folder(path="many").files(), 3))) == 3
    assert len(entered) <= 5


def test_names_of_any_bytes_stay_what_they_are(case: Path) -> None:
    odd = [b"new\nline", b"byte\xff", b"\x1b[31m.jpg", b"=1+1.jpg", b"back\\slash", b"x" * 255, b" "]
    for name in odd:
        touch(case, f"odd/{os.fsdecode(name)}")
    found = list(Folder(path="odd").files())
    assert {os.fsencode(file.name) for file in found} == set(odd)
    assert all(file.path.is_file() for file in found)


@pytest.mark.parametrize(
    ("path", "place", "expected"),
    [
        ("photos", "photos/out/case.sqlite", True),
        ("photos", "photo/case.sqlite", False),
        ("**/*.jpg", "out/case.sqlite", False),
        ("**/*.jpg", "out/case.jpg", True),
        ("*/*", "out/case.sqlite", True),
        ("*/*.jpg", "photos/more/1.jpg", False),
        ("-", "out/case.sqlite", False),
        ("photos/a.jpg", "photos/a.jpg", True),
    ],
)
def test_results_among_the_files_of_the_case_are_told(case: Path, path: str, place: str, expected: bool) -> None:
    assert Folder(path=path).holds(Path(place)) == expected


PARTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=4)


@given(PARTS, st.lists(st.sampled_from(["a", "b*", "**", "?"]), max_size=4).map(tuple))
def test_patterns_match_as_their_definition_says(parts: list[str], pattern: tuple[str, ...]) -> None:
    def defined(parts: list[str], pattern: tuple[str, ...]) -> bool:
        if not pattern:
            return True
        if pattern[0] == "**":
            return defined(parts, pattern[1:]) or (bool(parts) and defined(parts[1:], pattern))
        first = {"a": {"a"}, "b*": {"b"}, "?": {"a", "b"}}[pattern[0]]
        return bool(parts) and parts[0] in first and defined(parts[1:], pattern[1:])

    assert matches(parts, pattern) == defined(parts, pattern)


@pytest.fixture
def piped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], list[CaseFile]]]:
    """Return the files of a list on standard input."""
    with ExitStack() as streams:

        def read(content: bytes) -> list[CaseFile]:
            (tmp_path / "piped").write_bytes(content)
            monkeypatch.setattr(sys, "stdin", streams.enter_context((tmp_path / "piped").open()))
            return list(Folder(path="-").files())

        yield read


@pytest.mark.parametrize("end", [b"\0", b"\n", b"\r\n"])
def test_a_list_on_standard_input_is_taken_as_it_is(piped: Callable[[bytes], list[CaseFile]], end: bytes) -> None:
    paths = [f"card/{number}/{'x' * 50}.jpg".encode() for number in range(1200)] + [b"byte\xff", b"photos/a.jpg"]
    paths += [b"two\nlines\r"] if end == b"\0" else []
    for found in (piped(end.join(paths)), piped(end.join([*paths, b""]))):
        assert [os.fsencode(file.name) for file in found] == paths
        assert [os.fsencode(file.path) for file in found] == paths


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no file"), (b"\n\n", "no file"), (b"\xff" * (3 << 20), "no list of files")]
)
def test_no_list_on_standard_input_is_one_sentence(
    piped: Callable[[bytes], list[CaseFile]], content: bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        piped(content)


def digests(content: bytes) -> dict[str, str]:
    return {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha1", "sha256")}


def listing(folder: Path, content: str | bytes, root: str | None = None) -> list[CaseFile]:
    (folder / "list.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return list(Csv(path=f"{folder}/list.csv", root=root).files())


@pytest.mark.parametrize("parted_by", [",", ";", "\t"])
def test_a_csv_gives_paths_and_hashes_however_it_is_written(case: Path, parted_by: str) -> None:
    of = digests(b"x")
    rows = [
        ("\ufeffNote", " PATH ", "MD5", "SHA-1", "sha_256"),
        ("", "photos/a.jpg", of["md5"].upper(), of["sha1"], ""),
        ("", "", "", "", ""),
        ('"two\nlines"', '"card/""1"".jpg"', "", f" {of['sha1'].upper()} ", of["sha256"]),
        ("", f"{case}/card/1.jpg", "", "", ""),
        ("", "gone.jpg"),
        ("", "b.jpg", "123", "", ""),
    ]
    found = listing(case, "\r\n".join(map(parted_by.join, rows)) + "\r\n\r\n")
    assert [(file.name, file.hashes) for file in found] == [
        ("photos/a.jpg", {"md5": of["md5"], "sha1": of["sha1"]}),
        ("row 2", {}),
        ('card/"1".jpg', {"sha1": of["sha1"], "sha256": of["sha256"]}),
        (f"{case}/card/1.jpg", {}),
        ("gone.jpg", {}),
        ("b.jpg", {}),
    ]
    assert found[0].path == case / "photos/a.jpg"
    assert found[3].path == case / "card/1.jpg"
    assert [(file.status, file.problem != "") for file in found if file.problem] == [
        ("unreadable", True),
        ("hash_mismatch", True),
    ]


def test_a_csv_may_name_bytes_and_start_elsewhere(case: Path) -> None:
    touch(case, os.fsdecode(b"odd/\xff.jpg"))
    (file,) = listing(case, b"path\n\xff.jpg\n", f"{case}/odd")
    assert os.fsencode(file.name) == b"\xff.jpg"
    assert file.path.is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,md5\na.jpg,\n", "one column path"),
        ("path,Path\na.jpg,a.jpg\n", "one column path"),
        ("path,sha1,SHA-1\nphotos/a.jpg,,\n", "one column path"),
        ("", "one column path"),
        ("path\n", "lists no files"),
        ("path\nx.jpg\ny.jpg\n", r"none of the 2 files .* set source\.root"),
        ("path\n" + "x" * 300 + "\n", "none of the 1 file that"),
        ('path\nx.jpg\n"photos/a.jpg\n', "no table from line 3"),
        ("path,md5\nphotos/a.jpg,,more\n", "row 1 has 3 cells"),
        ("path\nphotos/a.jpg\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_csv_of_another_kind_is_one_sentence(case: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        listing(case, content)
    with pytest.raises(UserError, match="cannot be read"):
        Csv(path=f"{case}/none.csv", root=None).files()


def test_files_of_which_none_can_be_used_are_told_one_by_one(case: Path) -> None:
    found = listing(case, "path,md5\nphotos/a.jpg,no hash\n,\n")
    assert [file.status for file in found] == ["hash_mismatch", "unreadable"]


@pytest.mark.parametrize("choice", [Csv, Vics])
def test_a_list_lies_in_a_file_of_its_own(case: Path, choice: Callable[..., CaseSource]) -> None:
    """A pipe has lost what was read once, and results would replace a list that lies where they go."""
    os.mkfifo(case / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        choice(path="pipe", root=None).files()
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        choice(path="photos", root=None).files()
    listed = choice(path="card/list", root=None)
    assert listed.holds(case / "card")
    assert not listed.holds(case / "card/x")
    assert not listed.holds(case)

"""The journal: what was put is there again, in one order, for the same options only."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.case.journal import FILE, Input, Outcome, open_journal
from vec2uage.case.records import CaseFile, FaceResult, FileResult
from vec2uage.faces.records import Face, Hashes, Points

HASHES = Hashes("1" * 64, "2" * 40, "3" * 32)
OPTIONS = {"model": "ab12", "crop": {"size": 160}}
PLACES = Points((1.5, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 1.0))


def a_face(number: int, **facts) -> FaceResult:
    face = Face(1, 2, 30, 40, 0.9, "yunet", PLACES, 90, 1.5)
    known = {"age": 16.25, "low": 12.0, "high": 21.0, "p_minor": 0.7, "flagged": True, "distance": 1.25}
    return FaceResult(number, face, {"sharpness": 3.5, "eyes": 20.0}, **{**known, **facts})


def put(folder: Path, *inputs: Input, **contents: tuple[Outcome, list[FaceResult]]) -> list[FileResult]:
    with open_journal(folder, OPTIONS) as journal:
        journal.put_inputs(inputs)
        for content, came in contents.items():
            journal.put(content, *came)
        return list(journal.results())


def test_what_became_of_each_file_comes_back_as_it_was(tmp_path: Path):
    faces = (a_face(1, vector=b"12345678"), a_face(2, p_minor=None, flagged=None, distance=None, vector=b"abcdefgh"))
    gone = CaseFile("b", Path("in/b"), {"md5": "0"}, "no such file", "missing")
    told = put(
        tmp_path,
        Input(gone, Outcome("missing", "no such file")),
        Input(CaseFile("a", Path("in/a")), None, "c1", 12, HASHES),
        Input(CaseFile("c", Path("in/c")), None, "c2", 0, HASHES),
        c1=(Outcome("ok", "a part of it"), list(faces)),
        c2=(Outcome("unreadable", "the file is empty"), []),
    )
    assert told == [
        FileResult(CaseFile("a", Path("in/a")), 1, "ok", "a part of it", 12, HASHES, faces),
        FileResult(gone, 1, "missing", "no such file"),
        FileResult(CaseFile("c", Path("in/c")), 1, "unreadable", "the file is empty", 0, HASHES),
    ]


NAMES = [("", "a"), ("é", "b"), ("\udce4", "c"), ("\ud800x", "d"), ("a\n", "e"), ("a\n", "f")]
names = st.text(st.characters(), max_size=3)  # with half of a surrogate pair, as bytes that are no UTF-8 become


@settings(max_examples=20)  # each opens a file
@given(st.permutations(NAMES), names)
def test_results_are_sorted_by_raw_name_and_entries_of_one_name_are_numbered(
    tmp_path_factory: pytest.TempPathFactory, given_in, other: str
):
    files = [CaseFile(name, Path(path)) for name, path in [*given_in, (other, "g")]]
    told = put(tmp_path_factory.mktemp("case"), *(Input(file, Outcome("no_media", other)) for file in files))
    assert [(each.file.name, str(each.file.path)) for each in told] == sorted((f.name, str(f.path)) for f in files)
    same = [each.number for each in told if each.file.name == "a\n"]
    assert same == list(range(1, len(same) + 1))
    assert len(same) >= 2


def test_numbers_that_are_none_come_back(tmp_path: Path):
    file = Input(CaseFile("a", Path("a")), None, "c1")
    ((face,),) = [each.faces for each in put(tmp_path, file, c1=(Outcome("ok"), [a_face(1, low=math.nan)]))]
    assert math.isnan(face.low)
    assert face.vector is None


def test_a_command_that_did_nothing_keeps_nobody_from_another(tmp_path: Path):
    with open_journal(tmp_path, OPTIONS | {"source": "phtos"}):
        pass  # refused: no such folder
    put(tmp_path, Input(CaseFile("a", Path("a")), Outcome("no_media")))
    with pytest.raises(UserError, match="overwrite"), open_journal(tmp_path, OPTIONS | {"source": "others"}):
        pass


def test_a_content_is_looked_into_once_and_again_where_nothing_lasting_is_known(tmp_path: Path):
    files = [Input(CaseFile(name, Path(name)), None, content) for name, content in ("ax", "by", "cx", "dz")]
    with open_journal(tmp_path, OPTIONS) as journal:
        journal.put_inputs([*files, Input(CaseFile("e", Path("e")), Outcome("missing"))])
        found = [journal.paths_and_content(key) for key in journal.unknown_contents()]
        assert found == [((Path("a"), Path("c")), "x"), ((Path("b"),), "y"), ((Path("d"),), "z")]
        journal.put("x", Outcome("ok"), [a_face(1)])
        journal.put("y", Outcome("unreadable", "killed", lasts=False), [])
    with open_journal(tmp_path, OPTIONS) as journal:
        journal.put_inputs(files[1:])
        assert [journal.paths_and_content(key)[1] for key in journal.unknown_contents()] == ["y", "z"]


def test_hashes_are_known_for_the_same_state_only(tmp_path: Path):
    with open_journal(tmp_path, OPTIONS) as journal:
        journal.put_hashes(Path("\udce4"), "1", HASHES)
    with open_journal(tmp_path, OPTIONS) as journal:
        assert journal.hashes(Path("\udce4"), "1") == HASHES
        assert journal.hashes(Path("\udce4"), "2") is None


def test_other_options_are_refused_and_overwrite_forgets_what_they_made(tmp_path: Path):
    file = Input(CaseFile("a", Path("a")), None, "c1")
    put(tmp_path, file, c1=(Outcome("ok"), [a_face(1)]))
    other = {**OPTIONS, "crop": {"size": 80}}
    with pytest.raises(UserError, match=r"crop\.size.*overwrite=true"), open_journal(tmp_path, other):
        pass
    with open_journal(tmp_path, other, overwrite=True) as journal:
        assert len(journal.unknown_contents()) == 1
        journal.put("c1", Outcome("no_face"), [])
    with open_journal(tmp_path, other, overwrite=True) as journal:  # continues what it began
        assert [each.status for each in journal.results()] == ["no_face"]


@pytest.mark.parametrize("damage", ["contents SET found=replace(found, '16.25', '61.25')", "inputs SET size=13"])
def test_damage_is_told_and_never_a_result(damage: str, tmp_path: Path):
    put(tmp_path, Input(CaseFile("a", Path("a")), None, "c1", 12, HASHES), c1=(Outcome("ok"), [a_face(1)]))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(f"UPDATE {damage}")
    with pytest.raises(UserError, match="damaged"), open_journal(tmp_path, OPTIONS) as journal:
        list(journal.results())


def test_only_its_owner_may_read_it(tmp_path: Path):
    with open_journal(tmp_path, OPTIONS) as journal:
        journal.put_hashes(Path("a"), "1", HASHES)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}

"""JSON in the shape of public exports of VICS 2.0: what it lists is read, and what was found is added to it."""

import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.calibration.recall import Threshold
from vec2uage.case import vics_json
from vec2uage.case.exports.vics import VicsExport
from vec2uage.case.info import CaseInfo
from vec2uage.case.records import CaseFile, FaceResult, FileResult
from vec2uage.case.sources.folder import Folder
from vec2uage.case.sources.vics import Vics
from vec2uage.case.vics_json import Entry, pieces, with_added
from vec2uage.faces.records import Face, Hashes

CASES = "http://example.org/DataModels/2.0.xml/US/$metadata#Cases"
MEDIA = "http://example.org/DataModels/2.0.xml/US/$metadata#Media"
MD5, SHA1 = "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789ABCDEF01234567"


def entry(number: int, **fields: Any) -> dict[str, Any]:
    """An entry as exports have them, with numbers and booleans as texts among its fields."""
    return {
        "MediaID": number,
        "Category": 0,
        "MD5": MD5,
        "SHA1": SHA1,
        "MediaSize": "12345",
        "MimeType": "image/jpeg",
        "RelativeFilePath": f"Media\\{number}.jpg",
        "IsPrecategorized": "false",
        "MediaFiles": [{"FileName": 'ä "x".jpg', "FilePath": "C:\\Users\\x]}", "Media": [{"MediaID": "no entry"}]}],
    } | fields


def cases(*media: list[Any] | None) -> dict[str, Any]:
    """A JSON of cases, each with such media, whose totals are wrong."""
    values = [
        {"CaseID": f"{number}", "TotalMediaFiles": 999_999, "Media": each, "CaseMetadata": [{"PropertyName": "[{"}]}
        for number, each in enumerate(media)
    ]
    return {"@odata.context": CASES, "value": values, "Extra": None}


def media(*entries: Any) -> dict[str, Any]:
    return {"@odata.context": MEDIA, "value": list(entries)}


def saved(folder: Path, content: Any, **formatting: Any) -> str:
    """Write a JSON with a byte order mark, as Windows programs do, and return its path."""
    text = content if isinstance(content, str) else json.dumps(content, **formatting)
    (folder / "case.json").write_bytes(b"\xef\xbb\xbf" + text.encode("utf-8", "surrogateescape"))
    return f"{folder}/case.json"


def files(path: str, root: str | None = None) -> list[CaseFile]:
    return list(Vics(path=path, root=root).files())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two of the files that the JSONs here list."""
    (tmp_path / "Media").mkdir()
    (tmp_path / "Media/1.jpg").write_bytes(b"one")
    (tmp_path / "Media/2.jpg").write_bytes(b"two")
    return tmp_path


@pytest.mark.parametrize("formatting", [{}, {"indent": 2}, {"separators": (",", ":"), "ensure_ascii": False}])
@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_entries_of_cases_and_of_media_are_the_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, formatting: dict[str, Any], chunk: int
) -> None:
    monkeypatch.setattr(vics_json, "_CHUNK", chunk)
    entries = [entry(1), entry(2), entry(1), entry(3, MD5=None)]
    for content in (cases(entries[:3], [], None, entries[3:]), media(*entries)):
        path = saved(folder, content, **formatting)
        found = files(path)
        assert [file.name for file in found] == [f"Media\\{number}.jpg" for number in (1, 2, 1, 3)]
        assert [file.path for file in found[:2]] == [folder / "Media/1.jpg", folder / "Media/2.jpg"]
        assert found[0].hashes == {"md5": MD5.lower(), "sha1": SHA1.lower()}
        assert found[3].hashes == {"sha1": SHA1.lower()}
        assert not any(file.problem for file in found)
        texts = [piece.text if isinstance(piece, Entry) else piece for piece in pieces(Path(path))]
        assert "".join(texts).encode() == Path(path).read_bytes()


def test_what_cannot_be_found_or_verified_is_told_of_each_file(folder: Path) -> None:
    path = saved(
        folder,
        media(
            entry(1),
            entry(1, RelativeFilePath="Media\\..\\..\\secret.jpg"),
            entry(1, RelativeFilePath="/../secret.jpg"),
            entry(1, RelativeFilePath=None),
            entry(1, RelativeFilePath="nul\0.jpg"),
            entry(1, RelativeFilePath="half \ud83d of a character.jpg"),
            entry(2, MD5="not known"),
            entry(2, sha256="12"),
            entry(2, MD5=" ", SHA1=""),
            {"relativefilepath": "Media/2.jpg", "md5": MD5},
            {"RelativeFilePath": "\\Media\\2.jpg"},
            {},
        ),
    )
    found = files(path)
    assert [(file.status, file.problem.partition(",")[0]) for file in found if file.problem] == [
        *[("unreadable", "RelativeFilePath leads out of the folder")] * 2,
        ("unreadable", "no RelativeFilePath"),
        *[("unreadable", "no path that a file could have")] * 2,
        *[("hash_mismatch", problem) for problem in ("listed with 'not known'", "listed with '12'")],
        ("unreadable", "no RelativeFilePath"),
    ]
    assert (found[3].name, found[-1].name) == ("entry 4", "entry 12")
    assert [file.hashes for file in found[8:11]] == [{}, {"md5": MD5.lower()}, {}]
    assert all(file.path == folder / "Media/2.jpg" for file in found[8:11])
    for file in found:
        os.fsencode(file.name)


def test_media_of_a_case_count_however_that_is_spelt(folder: Path) -> None:
    path = saved(
        folder, json.dumps(cases([entry(1)], [entry(2)])).replace('"Media": [{"MediaID": 2', '"media": [{"MediaID": 2')
    )
    assert [file.name for file in files(path)] == ["Media\\1.jpg", "Media\\2.jpg"]


def test_bytes_that_are_no_utf_8_name_files_and_are_kept(folder: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    (folder / name).touch()
    path = saved(folder, '{"@odata.context": "#Media", "value": [{"RelativeFilePath": "' + name + '"}]}')
    (file,) = files(path)
    assert file.path.is_file()
    texts = [piece.text if isinstance(piece, Entry) else piece for piece in pieces(Path(path))]
    assert "".join(texts).encode("utf-8", "surrogateescape") == Path(path).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "'{' is missing at character 2"),
        ("[]", "'{' is missing"),
        ('{"value": []}', "no export of VICS 2.0"),
        ('{"@odata.context": "#Cases"}', "lists no files"),
        ('{"@odata.context": "#Persons", "value": []}', "no export of VICS 2.0"),
        ('{"@odata.context": "#Media", "value": {}}', r"'\[' is missing at character 40"),
        ('{"@odata.context": "#Cases", "value": [{"Media": {"MD5": ""}}]}', r"'\[' is missing"),
        ('{"@odata.context": "#Media", "value": [1]}', "an entry of Media is no object"),
        ('{"@odata.context": "#Media", "value": [{"a": 1}', r"'\]' is missing"),
        ('{"@odata.context": "#Media", "value": [{"a": 1,}]}', "no JSON that can be read .* at character 4[89]"),
        ('{"@odata.context": "#Media", "value": [{"a": 1}]} {}', "more text after the end"),
        ('{"@odata.context": "#Media", "value": [{"a": ' + "[" * 200_000, "no JSON that can be read"),
        ('{"@odata.context": "#Media", "value": [{"a": ' + "9" * 10_000 + "}]}", "no JSON that can be read"),
        (json.dumps(media(entry(8), entry(9))), r"none of the 2 files .* set source\.root"),
        (json.dumps(media()), "lists no files"),
    ],
)
def test_json_of_another_kind_is_one_sentence(folder: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        files(saved(folder, content))
    (folder / "case.json").write_bytes(content.encode("utf-16"))
    with pytest.raises(UserError, match="UTF-16"):
        files(f"{folder}/case.json")


def test_a_value_that_never_ends_is_not_read_into_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vics_json, "_CHUNK", 10)
    monkeypatch.setattr(vics_json, "_LONGEST", 1000)
    with pytest.raises(UserError, match="no JSON that can be read"):
        files(saved(folder, '{"@odata.context": "#Media", "value": [{"a": "' + "x" * 100_000))
    long = [entry(1), entry(2, Comments="x" * 700)]
    assert len(files(saved(folder, media(*long)))) == 2


def test_what_lies_between_entries_is_handed_on_as_it_is_read(folder: Path) -> None:
    path = saved(folder, {"@odata.context": CASES, "value": [{"Note": "x" * 90} for _ in range(9)], "Extra": 1})
    parts = [str(piece) for piece in pieces(Path(path))]
    assert max(map(len, parts)) < 200
    assert "".join(parts).encode() == Path(path).read_bytes()


# What exports add


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": 1}', '{"a": 1, "Tags": "new"}'),
        ('{"a":1,"b":[ ]}', '{"a":1,"b":[ ],"Tags":"new"}'),
        ('{\n\t"a" : 1,\n\t"b" : {}\n}', '{\n\t"a" : 1,\n\t"b" : {},\n\t"Tags" : "new"\n}'),
        ("{ }", '{"Tags": "new" }'),
        ('{"Tags": "", "a": 1}', '{"Tags": "new", "a": 1}'),
        ('{"tags": "old\\u00fc" }', '{"tags": "old\\u00fc, new" }'),
        ('{"Tags": null}', '{"Tags": "new"}'),
        ('{"Tags": [ "old" ]}', '{"Tags": [ "old" , "new"]}'),
        ('{"Tags": []}', '{"Tags": ["new"]}'),
        ('{"Tags": 7}', '{"Tags": 7}'),
        ('{"Tags": "1", "b": {"Tags": "x"}, "Tags": "2"}', '{"Tags": "1", "b": {"Tags": "x"}, "Tags": "2, new"}'),
    ],
)
def test_a_text_is_added_at_its_place_in_the_style_of_the_file(before: str, after: str) -> None:
    assert with_added(before, "Tags", "new", ", ") == after


TEXTS = st.text('ab\\"\n{}[],:é\U0001f600', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(["Comments", "Category", "x"]), VALUES),
    TEXTS,
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_nothing_but_the_field_is_touched(fields: dict[str, Any], added: str, indent: Any, ascii_only: bool) -> None:
    before = json.dumps(fields, indent=indent, ensure_ascii=ascii_only)
    after = with_added(before, "Comments", added, "; ")
    old, new = fields.pop("Comments", None), json.loads(after)
    expected = {
        str: lambda: f"{old}; {added}" if old else added,
        list: lambda: [*old, added],
        type(None): lambda: added,
    }
    assert new.pop("Comments") == expected.get(type(old), lambda: old)()
    assert new == fields
    left = iter(after)
    assert all(character in left for character in re.sub(r'("Comments": )null', r"\1", before))


def face(number: int, age: float, p_minor: float, flagged: bool, doubts: Sequence[str] = ()) -> FaceResult:
    box = Face(0, 0, 9, 9, 1.0, "yunet")
    return FaceResult(number, box, {}, age, age - 2.04, age + 3, p_minor, flagged, None, tuple(doubts))


def hashes(digit: str) -> Hashes:
    return Hashes(digit * 64, digit * 40, digit * 32)


def results_of(*found: FileResult) -> Callable[[], Iterator[FileResult]]:
    """Return the results as a case gives them: sorted by name and number."""
    return lambda: iter(sorted(found, key=lambda result: (result.file.name, result.number)))


def result(file: CaseFile, **known: Any) -> FileResult:
    return FileResult(**{"file": file, "number": 1, "status": "ok"} | known)


@pytest.fixture
def info() -> CaseInfo:
    threshold = object.__new__(Threshold)  # of which the export asks only whether there is one
    return CaseInfo("case.json", "m", "0", "e", "e", 17.5, threshold, None, None, None, "line", "code")


def test_what_was_found_is_in_the_copy_and_all_else_as_it_was(folder: Path, info: CaseInfo) -> None:
    lines = [
        '\ufeff{"@odata.context":"#Media" ,"value":[',
        ' {"MediaID":1,"Category":0,"RelativeFilePath":"a\\\\1.jpg","Comments":"seen","Tags":"x"},\r',
        '{"MediaID":2, "Category":null, "RelativeFilePath":"a\\\\2.jpg"}, {"RelativeFilePath":"a\\\\1.jpg","MD5":"x"},',
        '  {"Comments":null}],"total": 99.50 }\r\n\r\n',
    ]
    (folder / "case.json").write_bytes("\n".join(lines).encode())
    (folder / "a").mkdir()
    (folder / "a/1.jpg").touch()
    first, second, again, lost = files(f"{folder}/case.json")
    one = (face(1, 16.44, 0.75, False, ["small"]), face(2, 12.0, 0.987_6, True, ["dark", "turned"]))
    results = results_of(
        result(first, number=2, faces=one, hashes=hashes("c"), reason="stopped at 3 s"),
        result(again, number=1, status="hash_mismatch", reason="listed with 'x\x1b'", hashes=hashes("d")),
        result(second, faces=(face(1, 30.0, 0.01, False),), hashes=hashes("b")),
        result(lost, status="unreadable", reason="no RelativeFilePath"),
    )
    export = VicsExport(path=f"{folder}/case.json", hash="sha1")
    copy, flagged = export.write(folder, results, info)
    comment = (
        "2 faces, youngest 12.0 years (90%: 10.0 to 15.0), P(age < 18) 0.988, doubtful: dark; turned (stopped at 3 s)"
    )
    notes = [
        (b'"seen"', f'"seen; vec2uage: {comment}"'.encode()),
        (b'"Tags":"x"', b'"Tags":"x, vec2uage_flagged"'),
        (
            b'2.jpg"',
            b'2.jpg", "Comments":"vec2uage: 1 face, youngest 30.0 years (90%: 28.0 to 33.0), P(age < 18) 0.010"',
        ),
        (
            b'"MD5":"x"',
            b'"MD5":"x","Comments":"vec2uage: hash_mismatch (listed with \'x\\\\x1b\')","Tags":"vec2uage_not_examined"',
        ),
        (
            b'"Comments":null',
            b'"Comments":"vec2uage: unreadable (no RelativeFilePath)", "Tags":"vec2uage_not_examined"',
        ),
    ]
    expected = (folder / "case.json").read_bytes()
    for before, after in notes:
        assert expected.count(before) == 1
        expected = expected.replace(before, after)
    assert copy.read_bytes() == expected
    assert flagged.read_text() == "c" * 40 + "\n"
    assert {path.stat().st_mode & 0o777 for path in (copy, flagged)} == {0o600}


def test_of_points_no_interval_is_told(folder: Path, info: CaseInfo) -> None:
    point = replace(face(1, 16.44, 0.0, False), low=math.nan, high=math.nan, p_minor=None)
    path = saved(folder, media(entry(1)))
    (found,) = files(path)
    copy, _ = VicsExport(path=path, hash="md5").write(folder, results_of(result(found, faces=(point,))), info)
    assert 'vec2uage: 1 face, youngest 16.4 years"' in copy.read_text()


def test_the_list_of_hashes_is_sorted_and_needs_a_threshold(
    folder: Path, info: CaseInfo, caplog: pytest.LogCaptureFixture
) -> None:
    listed = files(saved(folder, media(*map(entry, range(1, 6)))))
    young, old = (face(1, 9.0, 0.99, True),), (face(1, 40.0, 0.01, False),)
    results = results_of(
        *(
            result(file, faces=faces, hashes=hashes(digit))
            for file, faces, digit in zip(listed, (young, young, old, young, young), "da0ab", strict=True)
        )
    )
    for algorithm, length in (("md5", 32), ("sha256", 64)):
        export = VicsExport(path=f"{folder}/case.json", hash=algorithm)
        _, flagged = export.write(folder, results, info)
        assert flagged.read_text().split() == [digit * length for digit in "abd"]
    flagged.unlink()
    with caplog.at_level(logging.WARNING):
        (copy,) = export.write(folder, results, replace(info, threshold=None))
    assert copy.is_file()
    assert not flagged.exists()
    assert "no guaranteed threshold" in caplog.text


def test_a_json_that_has_changed_since_is_refused(folder: Path, info: CaseInfo) -> None:
    listed = files(saved(folder, media(entry(1), entry(2))))
    results = results_of(*(result(file, status="no_face") for file in listed))
    for changed in (media(entry(1)), media(entry(1), entry(2), entry(2)), media(entry(1), entry(3))):
        export = VicsExport(path=saved(folder, changed), hash="md5")
        with pytest.raises(UserError, match="is not what it was"):
            export.write(folder / "out", results, info)
        assert list((folder / "out").iterdir()) == []


def test_only_results_of_the_json_itself_can_be_added_to_it() -> None:
    export = VicsExport(path="case.json", hash="md5")
    export.check(Vics(path="case.json", root="elsewhere"))
    for other in (Folder(path="case.json"), Vics(path="other.json", root=None)):
        with pytest.raises(UserError, match="source=vics"):
            export.check(other)

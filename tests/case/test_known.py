"""Lists of known files, as people and NSRL write them."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from vec2uage.base.errors import UserError
from vec2uage.case.known import Known, read_known
from vec2uage.faces.records import Hashes


def hashes(content: bytes) -> Hashes:
    return Hashes(*(hashlib.new(name, content).hexdigest() for name in ("sha256", "sha1", "md5")))


def read(folder: Path, content: str | bytes) -> Known:
    (folder / "known.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    return read_known(folder / "known.txt")


A, B, C, D = map(hashes, (b"a", b"b", b"c", b"d"))


def test_a_list_has_hashes_of_any_kind_in_any_case(tmp_path: Path) -> None:
    lines = ["\ufeff# of 2024", A.md5.upper(), "", f"  {B.sha1}  *two words.jpg", f"\\{C.sha256}  new\\nline", "#"]
    known = read(tmp_path, "\r\n".join(lines))
    assert [known.has(each) for each in (A, B, C, D)] == [True, True, True, False]


@pytest.mark.parametrize(
    "table",
    [
        f'"SHA-1","MD5","CRC32","FileName"\r\n"{A.sha1.upper()}","","0","ü,\n.dll"\r\n"{B.sha1}","","",""\r\n',
        f"name;SHA256;md5\nx;{A.sha256};\ny;{B.sha256};{D.md5}\n",
        f"md5\n{A.md5}\n{B.md5}\n",
    ],
)
def test_a_table_has_a_column_of_them(tmp_path: Path, table: str) -> None:
    known = read(tmp_path, table.encode("latin-1"))
    assert [known.has(each) for each in (A, B, C, D)] == [True, True, False, False]


def test_each_of_many_is_found_and_no_other(tmp_path: Path) -> None:
    draw = random.Random(0)
    listed = [f"{draw.getrandbits(120):030x}" + end for end in ("00", "0a", "ff") for _ in range(500)] + ["0" * 32]
    known = read(tmp_path, "\n".join(listed))
    others = [text[:-1] + ("1" if text[-1] == "0" else "0") for text in listed]
    for text, expected in [(text, True) for text in listed] + [(text, False) for text in others]:
        assert known.has(Hashes(A.sha256, A.sha1, text)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lists no hashes"),
        ("# nothing\n", "lists no hashes"),
        ("md5\n", "lists no hashes"),
        (f"{A.md5}\nphoto.jpg\n", "line 2 has no MD5, SHA-1 or SHA-256 .*'photo.jpg'"),
        (f"{A.md5},a.jpg\n", "line 1 has no MD5"),
        ("0x" + A.md5[2:], "line 1 has no MD5"),
        (f"name,md5\na,{A.md5}\nb,\n", "row 2 has no MD5"),
        (A.md5.encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_list_is_one_sentence(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)
    with pytest.raises(UserError, match="cannot be read"):
        read_known(tmp_path / "none.txt")


def test_a_list_that_could_be_read_once_only_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        read_known(tmp_path / "pipe")

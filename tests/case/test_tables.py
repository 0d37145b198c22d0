"""Rows of faces and of files: whole, in order, nobody else's to read, and with nothing that a program would run."""

import csv
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_case import HASHES, face, file, info, results
from pyarrow import parquet

from vec2uage.base.csv_file import read_csv
from vec2uage.case.tables import write_tables
from vec2uage.data.readers.table import read

HOSTILE = "=cmd|'/c calc'!A1.jpg", "a\x1b[2J\nb.jpg", "caf\udce9.jpg", "+1.jpg", "\u202egpj.exe", "half \ud800.jpg"


def rows(folder: Path, name: str) -> tuple[list[dict[str, str]], list[dict[str, object]]]:
    return read_csv(folder / f"{name}.csv"), parquet.read_table(folder / f"{name}.parquet").to_pylist()


def test_every_face_and_every_file_has_a_row(tmp_path: Path) -> None:
    young, old = face(1, 9.5), face(2, 30.25, p_minor=0.015625, flagged=False, doubts=("small", "blurred"))
    case = results(
        file("a.jpg", young, old), file("b.jpg", status="missing", reason="not there", hashes=None, size=None)
    )
    paths = write_tables(tmp_path, case, info())
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in paths)

    shown, exact = rows(tmp_path, "predictions")
    assert [(row["path"], row["face"], row["age"], row["low_90"], row["high_90"]) for row in shown] == [
        ("a.jpg", "1", "9.5", "7.5", "11.5"),
        ("a.jpg", "2", "30.25", "28.25", "32.25"),
    ]
    assert [row["reliability"] for row in shown] == ["ok", "small; blurred"]
    assert [row["flagged"] for row in shown] == ["true", "false"]
    assert exact[1]["p_minor"] == 0.015625
    assert exact[1]["sha256"] == shown[1]["sha256"] == HASHES.sha256
    assert (exact[0]["model"], exact[0]["encoder"]) == ("d" * 16, "facenet-x")

    shown, exact = rows(tmp_path, "files")
    assert [(row["status"], row["faces"], row["age"], row["p_minor"]) for row in shown] == [
        ("ok", "2", "9.5", "0.9"),
        ("missing", "0", "", ""),
    ]
    assert exact[1] | {"reason": None} == dict.fromkeys(exact[1]) | {
        "path": "b.jpg",
        "path_bytes": b"b.jpg",
        "entry": 1,
        "status": "missing",
        "faces": 0,
    }


def test_names_run_nothing_and_are_raw_in_parquet(tmp_path: Path) -> None:
    write_tables(tmp_path, results(*(file(name, face()) for name in HOSTILE)), info(model_digest="=1"))
    for table in ("predictions", "files"):
        text = (tmp_path / f"{table}.csv").read_text()
        assert text.replace("\n", "").isprintable()
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?!\d)", cell)]
        shown, exact = rows(tmp_path, table)
        assert [row["path_bytes"] for row in exact][:3] == [HOSTILE[0].encode(), HOSTILE[1].encode(), b"caf\xe9.jpg"]
        assert [row["path"] for row in exact] == [*HOSTILE[:2], "caf\\udce9.jpg", *HOSTILE[3:5], "half \\ud800.jpg"]
        assert shown[1]["path"] == "a\\x1b[2J\\nb.jpg"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=8))
def test_any_bytes_of_names_come_back_from_parquet(tmp_path: Path, names: list[bytes]) -> None:
    write_tables(tmp_path, results(*(file(os.fsdecode(name), face()) for name in names)), info())
    shown, exact = rows(tmp_path, "files")
    assert [row["path_bytes"] for row in exact] == names
    assert all(row["path"].isprintable() for row in shown)


def test_what_is_not_known_is_empty(tmp_path: Path) -> None:
    point = face(p_minor=None, flagged=None, measures={"yaw": float("nan"), "score": 0.5})
    write_tables(tmp_path, results(file("a", point), file("b", face(measures={}))), info())
    shown, exact = rows(tmp_path, "predictions")
    for name in ("p_minor", "flagged", "distance", "yaw", "seconds"):
        assert (shown[0][name], exact[0][name]) == ("", None)
    assert shown[1]["yaw"] == ""
    assert list(shown[0]).count("score") == 1


def test_no_measure_takes_the_place_of_another_column(tmp_path: Path) -> None:
    odd = face(1, 9.5, measures={"age": 1.0, "path": 2.0, "sha1": 3.0, "size": 4.0})
    write_tables(tmp_path, results(file("a", odd, face(2, 9.5, measures={"eyes": 5.0}))), info())
    [first, second], _ = rows(tmp_path, "predictions")
    assert (first["path"], first["age"], first["sha1"], first["size"]) == ("a", "9.5", HASHES.sha1, "4")
    assert (second["eyes"], second["size"]) == ("5", "")  # not that of the file


def test_kept_vectors_can_be_read_as_a_set(tmp_path: Path) -> None:
    vectors = np.arange(8, dtype="<f4").reshape(2, 4)
    case = results(file("a.jpg", *(face(n, vector=vector.tobytes()) for n, vector in enumerate(vectors, 1))))
    write_tables(tmp_path, case, info())
    found = read(tmp_path / "predictions.parquet")
    np.testing.assert_array_equal(found.vectors, vectors)
    assert found.encoder == "facenet-x"
    assert "vector" not in read_csv(tmp_path / "predictions.csv")[0]


def test_long_tables_are_written_in_blocks_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vec2uage.case.tables._ROWS", 10)
    names = [f"{n:02}.jpg" for n in range(25)]
    write_tables(tmp_path, results(*(file(name, face()) for name in names)), info())
    shown, exact = rows(tmp_path, "predictions")
    assert [row["path"] for row in shown] == [row["path"] for row in exact] == names
    assert parquet.ParquetFile(tmp_path / "files.parquet").num_row_groups == 3


def test_a_case_without_faces_has_tables_without_rows(tmp_path: Path) -> None:
    write_tables(tmp_path, results(file("a")), info())
    assert read_csv(tmp_path / "predictions.csv") == []
    table = parquet.read_table(tmp_path / "predictions.parquet")
    assert table.num_rows == 0
    assert table.schema.field("age").type == pa.float64()


def test_what_was_written_before_stays_where_writing_fails(tmp_path: Path) -> None:
    write_tables(tmp_path, results(file("a", face())), info())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def failing():  # type: ignore[no-untyped-def]
        yield file("b", face())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_tables(tmp_path, failing, info())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before

"""The store: what was put is there again, for the same content and settings only, and after a kill."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vec2uage.base.errors import UserError
from vec2uage.faces.records import Face, Points, Refused
from vec2uage.faces.store import Hashes, Store, open_store

HASHES = Hashes("1" * 64, "2" * 40, "3" * 32)
pixels = st.integers(-5000, 5000)
place = st.tuples(st.floats(-9, 9), st.floats(-9, 9))
points = st.none() | st.builds(Points, place, place, place, place, place)
faces = st.builds(
    Face,
    *(pixels, pixels, pixels, pixels),
    st.floats(allow_nan=False),
    st.sampled_from(["hog", "none"]),
    points,
    st.sampled_from([0, 90]),
    st.none() | st.floats(0, 9),
)


@given(st.lists(faces, max_size=4))
def test_detections_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, found: list[Face]):
    with open_store(tmp_path_factory.mktemp("store") / "store.sqlite") as store:
        store.put_detection("a", "hog", found)
        assert store.detection("a", "hog") == found
        assert store.detection("a", "mtcnn") is None
        assert store.detection("b", "hog") is None


@given(arrays(np.float32, 16))
def test_vectors_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, vector: np.ndarray):
    with open_store(tmp_path_factory.mktemp("store") / "store.sqlite") as store:
        store.put_vector("a", "box", "facenet", vector)
        again = store.vector("a", "box", "facenet")
        assert again is not None
        assert again.tobytes() == vector.tobytes()
        assert store.vector("a", "other box", "facenet") is None
        assert store.vector("a", "box", "dlib") is None


def test_refusals_and_scores_that_are_no_numbers_come_back(tmp_path: Path):
    with open_store(tmp_path / "store.sqlite") as store:
        store.put_detection("a", "hog", Refused("unreadable", "truncated"))
        refused = store.detection("a", "hog")
        assert isinstance(refused, Refused)
        assert (refused.status, refused.reason) == ("unreadable", "truncated")
        store.put_detection("a", "none", [Face(0, 0, 1, 1, math.nan, "none")])
        (face,) = store.detection("a", "none") or []
        assert math.isnan(face.score)
        store.put_measures("a", "box", {"sharpness": 1.5})
        assert store.measures("a", "box") == {"sharpness": 1.5}


def test_a_changed_file_is_hashed_again(tmp_path: Path):
    with open_store(tmp_path / "store.sqlite") as store:
        store.put_hashes(b"a.jpg", "10/99", HASHES)
        assert store.hashes(b"a.jpg", "10/99") == HASHES
        assert store.hashes(b"a.jpg", "11/99") is None


def test_what_was_put_is_there_for_others_at_once(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    with open_store(path) as store, open_store(path) as other:
        store.put_vector("a", "box", "facenet", np.ones(2, np.float32))
        assert other.vector("a", "box", "facenet") is not None
        other.put_vector("b", "box", "facenet", np.ones(2, np.float32))
        store.put_signature("a", "1", "ff")
        assert (other.signature("a", "1"), other.signature("a", "2")) == ("ff", None)


def _filled(path: Path) -> None:
    with open_store(path) as store:
        store.put_hashes(b"a.jpg", "10/99", HASHES)
        store.put_detection("a", "hog", [Face(0, 0, 1, 1, 0.5, "hog")])
        store.put_signature("a", "1", "ff")
        store.put_measures("a", "box", {"sharpness": 1.5})
        store.put_vector("a", "box", "facenet", np.ones(2, np.float32))


def _content(store: Store) -> dict[str, object]:
    vector = store.vector("a", "box", "facenet")
    return {
        "files": store.hashes(b"a.jpg", "10/99"),
        "detections": store.detection("a", "hog"),
        "signatures": store.signature("a", "1"),
        "measures": store.measures("a", "box"),
        "vectors": vector if vector is None else vector.tolist(),
    }


WHOLE = {
    "files": HASHES,
    "detections": [Face(0, 0, 1, 1, 0.5, "hog")],
    "signatures": "ff",
    "measures": {"sharpness": 1.5},
    "vectors": [1.0, 1.0],
}


def _fill_and_check(path: Path) -> None:
    _filled(path)
    with open_store(path) as store:
        assert _content(store) == WHOLE


def _execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("files", "sha1='4'"),
        ("detections", """found='{"faces": [[0, 0, 1, 2, 0.5, "hog"]]}'"""),
        ("signatures", "signature='fe'"),
        ("measures", "measured='{}'"),
        ("measures", "measured=CAST(x'7bff7d' AS TEXT)"),  # no UTF-8
        ("vectors", "vector=x'0000803f0000803e'"),
        ("vectors", "vector=NULL"),
        ("vectors", "digest=x'00'"),
    ],
)
def test_a_damaged_row_is_not_there_until_it_is_made_again(
    table: str, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "store.sqlite"
    _filled(path)
    _execute(path, f"UPDATE {table} SET {damage}")
    with open_store(path) as store:
        assert _content(store) == WHOLE | {table: None}
    assert [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    _fill_and_check(path)


def test_a_row_under_another_key_is_not_used(tmp_path: Path):
    """As a damaged index of SQLite leads to it."""
    path = tmp_path / "store.sqlite"
    _filled(path)
    _execute(path, "UPDATE vectors SET encoder='dlib'")
    with open_store(path) as store:
        assert store.vector("a", "box", "dlib") is None


def test_rows_of_an_earlier_version_are_used_unless_they_cannot_be_read(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    _execute(
        path,
        "CREATE TABLE signatures (sha256 TEXT, version TEXT, signature TEXT, PRIMARY KEY (sha256))",
        "INSERT INTO signatures VALUES ('a', '1', 'ff')",
        "CREATE TABLE detections (sha256 TEXT, detector TEXT, found TEXT, PRIMARY KEY (sha256))",
        "INSERT INTO detections VALUES ('a', 'hog', '{}')",
    )
    with open_store(path) as store:
        assert (store.signature("a", "1"), store.detection("a", "hog")) == ("ff", None)
    _fill_and_check(path)


def test_damage_anywhere_in_the_file_is_told_or_changes_nothing(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    _filled(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 701):
        damaged = bytearray(whole)
        damaged[place : place + 700] = bytes(value ^ 0x55 for value in damaged[place : place + 700])
        path.write_bytes(damaged)
        try:
            with open_store(path) as store:
                content = _content(store)
            assert all(content[table] in (None, WHOLE[table]) for table in WHOLE)
        except UserError as error:
            assert "store=" in str(error)  # noqa: PT017
        for beside in tmp_path.glob("store.sqlite-*"):
            beside.unlink()


def test_a_file_that_is_no_store_is_named(tmp_path: Path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"photo\.jpg.*store="), open_store(path):
        pass

"""The store: what was put is there again, for the same content and settings only, and after a kill."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vec2uage.base.errors import UserError
from vec2uage.faces.records import Face, Refused
from vec2uage.faces.store import Hashes, open_store

pixels = st.integers(-5000, 5000)
faces = st.builds(Face, pixels, pixels, pixels, pixels, st.floats(allow_nan=False), st.sampled_from(["hog", "none"]))


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
    hashes = Hashes("1" * 64, "2" * 40, "3" * 32)
    with open_store(tmp_path / "store.sqlite") as store:
        store.put_hashes(b"a.jpg", "10/99", hashes)
        assert store.hashes(b"a.jpg", "10/99") == hashes
        assert store.hashes(b"a.jpg", "11/99") is None


def test_what_was_put_is_there_for_others_at_once(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    with open_store(path) as store, open_store(path) as other:
        store.put_vector("a", "box", "facenet", np.ones(2, np.float32))
        assert other.vector("a", "box", "facenet") is not None
        other.put_vector("b", "box", "facenet", np.ones(2, np.float32))
        store.put_signature("a", "1", "ff")
        assert (other.signature("a", "1"), other.signature("a", "2")) == ("ff", "")


def test_a_file_that_is_no_store_is_named(tmp_path: Path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"photo\.jpg.*store="), open_store(path):
        pass

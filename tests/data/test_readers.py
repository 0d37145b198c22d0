"""Readers: the file decides the format, its rows are checked, damage ends in one sentence."""

import logging

import numpy as np
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.readers import read
from vec2uage.data.vectorset import make_vector_set

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
AGES = np.array([1, 2, 18], dtype=np.int16)


def test_npz_by_name(tmp_path):
    np.savez(
        tmp_path / "set.npz",
        vectors=VECTORS,
        ages=AGES,
        names=["a", "b", "c"],
        subjects=["p", "p", ""],
        gender=["male", "female", ""],
    )
    vs = read(tmp_path / "set.npz", encoder="facenet")
    assert vs.vectors.tolist() == VECTORS.tolist()
    assert vs.ages.tolist() == [1, 2, 18]
    assert vs.names.tolist() == ["a", "b", "c"]
    assert vs.subjects.tolist() == ["p", "p", ""]
    assert vs.gender.tolist() == ["male", "female", ""]
    assert vs.source.tolist() == ["set"] * 3
    assert vs.encoder == "facenet"


def test_npz_by_position_gets_names_from_the_file(tmp_path):
    np.savez(tmp_path / "set.npz", VECTORS, AGES)
    vs = read(tmp_path / "set.npz")
    assert vs.names.tolist() == ["set:0", "set:1", "set:2"]
    assert vs.ages.tolist() == [1, 2, 18]
    assert vs.encoder == "unknown"


def test_npz_without_ages(tmp_path):
    np.savez(tmp_path / "named.npz", vectors=VECTORS, names=["a", "b", "c"])
    np.savez(tmp_path / "bare.npz", VECTORS)
    for name, first in (("named", "a"), ("bare", "bare:0")):
        vs = read(tmp_path / f"{name}.npz")
        assert (vs.ages, vs.names[0]) == (None, first)


def test_npz_arrays_that_are_not_read_are_named(tmp_path, caplog):
    np.savez(tmp_path / "set.npz", vectors=VECTORS, ages=AGES, pose=AGES)
    with caplog.at_level(logging.WARNING):
        read(tmp_path / "set.npz")
    assert "not read: pose" in caplog.text


def test_npz_never_unpickles(tmp_path):
    np.savez(tmp_path / "set.npz", vectors=VECTORS, ages=np.array([1, 2, None], dtype=object))
    with pytest.raises(UserError, match=r"not a readable \.npz file"):
        read(tmp_path / "set.npz")


def test_damaged_npz_is_refused(tmp_path):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, vectors=VECTORS, ages=AGES)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[60:90] = bytes(30)
    np.save(tmp_path / "array.npy", VECTORS)
    for content in (b"", b"text", whole[:100], bytes(damaged), (tmp_path / "array.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not a readable \.npz file"):
            read(path)


def test_npz_without_vectors_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "set.npz", features=VECTORS, ages=AGES)
    with pytest.raises(UserError, match=r"holds \['ages', 'features'\]"):
        read(tmp_path / "set.npz")


@pytest.fixture
def bad_file(request, tmp_path):
    """A file with a NaN, which can be written but should not be trained on."""
    path = tmp_path / f"set{request.param}"
    vectors = VECTORS.copy()
    vectors[1, 0] = np.nan
    if request.param == ".npz":
        np.savez(path, vectors=vectors, ages=AGES)
    else:
        vs = make_vector_set(VECTORS, AGES)
        vs.vectors[1, 0] = np.nan
        storage.save(vs, path)
        VECTORS[1, 0] = 2
    return path


@pytest.mark.parametrize("bad_file", [".npz", ".arrow"], indirect=True)
def test_bad_rows_go_by_the_policy_in_every_format(bad_file):
    with pytest.raises(UserError, match=f"{bad_file}: 1 of 3 rows are bad"):
        read(bad_file, bad_rows="refuse")
    assert read(bad_file, bad_rows="drop").ages.tolist() == [1, 18]


@pytest.mark.parametrize("suffix", [".arrow", ".feather"])
def test_arrow_keeps_its_encoder(tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    storage.save(make_vector_set(VECTORS, AGES, encoder="facenet"), path)
    assert read(path).encoder == "facenet"
    assert read(path, encoder="facenet").encoder == "facenet"
    with pytest.raises(UserError, match=r"made by encoder 'facenet', but the option encoder says 'dlib'"):
        read(path, encoder="dlib")


def test_arrow_stays_in_the_mapped_file_and_takes_the_stated_encoder_for_an_unknown_one(tmp_path):
    storage.save(make_vector_set(VECTORS, AGES), tmp_path / "set.arrow")
    vs = read(tmp_path / "set.arrow", encoder="facenet")
    assert (vs.encoder, vs.vectors.flags.owndata) == ("facenet", False)


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "none.npz")
    (tmp_path / "set.docx").touch()
    with pytest.raises(UserError, match=r"known are \.arrow, \.feather, \.npz, \.json, \.parquet, \.csv, \.pkl"):
        read(tmp_path / "set.docx")

"""Readers: the file decides the format, its rows are checked, damage ends in one sentence."""

import csv
import json
import logging
import warnings
import zipfile
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data import storage
from vec2uage.data.readers import hostile, read
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


def test_a_source_that_is_missing_is_the_file(tmp_path):
    columns = {"source": ["case", "nan", ""]}
    np.savez(tmp_path / "set.npz", vectors=VECTORS, ages=AGES, **columns)
    pq.write_table(pa.table({"age": AGES, "vector": VECTORS.tolist()} | columns), tmp_path / "set.parquet")
    for name in ("set.npz", "set.parquet"):
        vs = read(tmp_path / name)
        assert vs.source.tolist() == ["case", "set", "set"]
        assert vs.names.tolist() == ["case:0", "set:1", "set:2"]


@pytest.mark.parametrize("name", ["names", "subjects", "source", "gender"])
def test_npz_with_one_text_for_all_rows_is_refused(tmp_path, name):
    np.savez(tmp_path / "set.npz", vectors=VECTORS, ages=AGES, **{name: "p"})
    with pytest.raises(UserError, match=rf"{name} of shape \(\)"):
        read(tmp_path / "set.npz")


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
    with pytest.raises(UserError, match=r"known are \.arrow, \.feather, \.npz, \.json, \.parquet, \.pq, \.csv, \.pkl"):
        read(tmp_path / "set.docx")


def write_rows(path, names=None, ages=None, subjects=None, vectors=VECTORS):
    """Write the same rows in the format of a suffix, as other programs do; JSON has ages and subjects in names."""
    columns = {"age": AGES.tolist() if ages is None else ages, "name": names or ["a", "b", "c"]}
    columns |= {} if subjects is None else {"subject": subjects}
    if path.suffix == ".npz":
        arrays = {f"{name}s": np.array(column) for name, column in columns.items()}
        np.savez(path, vectors=vectors, **arrays)
    elif path.suffix == ".pkl":
        pandas = pytest.importorskip("pandas")
        given = {"age": columns["age"], "filename": columns["name"], "uuids": subjects or ["p", "q", "r"]}
        pandas.DataFrame(given | {"testset": [False] * 3, "embedding": list(np.array(vectors))}).to_pickle(path)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(columns | {"vector": np.array(vectors).tolist()}), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "vector"])
            writer.writerows(zip(*columns.values(), np.array(vectors).tolist(), strict=True))
    else:
        subjects = subjects or ["p", "q", "r"]
        keys = [f"{one}_{age:g}_0.jpg" for one, age in zip(subjects, columns["age"], strict=True)]
        pairs = zip(names or keys, np.array(vectors).tolist(), strict=True)
        path.write_text("{" + ", ".join(f"{json.dumps(name)}: {vector}" for name, vector in pairs) + "}")
    return path


FORMATS = (".npz", ".pkl", ".parquet", ".csv", ".json")
COLUMNED = FORMATS[:-1]  # all that have ages in a column


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_reader_knows_who_is_unknown(tmp_path, suffix):
    for subjects in (["nan", "NULL", "p"], ["NA", "-", " p"], ["<NA>", "n/a", "p\u200b"]):
        assert read(write_rows(tmp_path / f"set{suffix}", subjects=subjects)).subjects.tolist() == ["", "", "p"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_reader_takes_a_row_given_twice_once_and_contradictions_not_at_all(tmp_path, suffix):
    rows = {"names": ["a_1_0.jpg", "a_1_0.jpg", "b_2_0.jpg"], "ages": [1, 1, 2], "subjects": ["a", "a", "b"]}
    path = write_rows(tmp_path / f"set{suffix}", **rows)
    with pytest.raises(UserError, match="duplicate name of different rows"):
        read(path)
    assert read(path, bad_rows="drop").names.tolist() == ["b_2_0.jpg"]
    same = write_rows(tmp_path / f"set{suffix}", **rows, vectors=VECTORS[[1, 1, 2]])
    assert read(same, bad_rows="drop").names.tolist() == ["a_1_0.jpg", "b_2_0.jpg"]


@pytest.mark.parametrize("suffix", COLUMNED)
def test_every_reader_names_the_row_whose_age_is_no_number(tmp_path, suffix):
    path = write_rows(tmp_path / f"set{suffix}", ages=["3", "12 years", "5.5"])
    with pytest.raises(UserError, match=r"1 of 3 rows are bad \(age not a number: 1 \(b\)\)"):
        read(path)
    assert read(path, bad_rows="drop").ages.tolist() == [3, 5.5]


@pytest.mark.parametrize("suffix", COLUMNED)
def test_no_reader_takes_dates_or_truth_values_for_years(tmp_path, suffix):
    days = [date(2001, 5, 5)] * 3
    for ages in ([True, False, True], np.array(days, "M8[s]"), np.array([90] * 3, "m8[s]")):
        with pytest.raises(UserError):
            read(write_rows(tmp_path / f"set{suffix}", ages=ages), bad_rows="drop")


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_reader_takes_vectors_beyond_what_can_be_computed_with(tmp_path, suffix):
    for odd in (1e38, 1e-40, 0.0):
        path = write_rows(tmp_path / f"set{suffix}", vectors=[[1.5, 2], [odd, odd], [5, 6.5]])
        with pytest.raises(UserError, match=r"1 of 3 rows are bad \(vector of"):
            read(path)
        assert read(path, bad_rows="drop").vectors.tolist() == [[1.5, 2], [5, 6.5]]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_reader_keeps_line_ends_and_other_letters_in_names(tmp_path, suffix):
    names = ["first\nsecond_3_0.jpg", '\u00fc, "q"_4_0.jpg', " ; _5_0.jpg"]
    vs = read(write_rows(tmp_path / f"set{suffix}", names=names, ages=[3, 4, 5], subjects=["first\nsecond", "p", "q"]))
    assert vs.names.tolist() == names
    assert vs.ages.tolist() == [3, 4, 5]


def test_npz_of_any_byte_order_and_layout_is_the_same(tmp_path):
    np.savez(tmp_path / "set.npz", vectors=np.asfortranarray(VECTORS.astype(">f8")), ages=AGES.astype(">i4"))
    vs = read(tmp_path / "set.npz")
    assert (vs.vectors.tolist(), vs.ages.tolist()) == (VECTORS.tolist(), [1, 2, 18])


def npy(header, content=b""):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def described(shape, kind="<f4"):
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"


HOSTILE = {
    "8 GB in a few bytes": npy(described("(4000000, 512)"), bytes(64)),
    "beyond all numbers": npy(described("(10000000000000, 10000000000000)"), bytes(64)),
    "rows without a size": npy(described("(10000000000000,)", "<U0")),
    "negative": npy(described("(-1, 2)"), bytes(8)),
    "objects": npy(described("(1,)", "|O"), b"\x80\x04N."),
    "letters beyond Unicode": npy(described("(1, 2)", "<U1"), b"\xff" * 8),
    "more than it says": npy(described("(1, 2)"), bytes(64)),
    "deep header": npy("(" * 110),
    "header of another length": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f",
    "no array": b"PK\x03\x04 an archive in an archive",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_npz_that_cannot_be_what_it_says_is_refused(tmp_path, case):
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(tmp_path / "set.npz", "w", kind) as archive:
            archive.writestr("vectors.npy", HOSTILE[case])
        with pytest.raises(UserError, match=r"not a readable \.npz file") as refusal:
            read(tmp_path / "set.npz")
        assert len(str(refusal.value)) < 500


def test_an_archive_that_unfolds_too_far_or_has_a_name_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "LARGE", 1_000_000)
    np.savez_compressed(tmp_path / "set.npz", vectors=np.zeros((5000, 512), np.float32))
    with pytest.raises(UserError, match=r"holds 10 MB in 0\.0 MB: refused"):
        read(tmp_path / "set.npz")
    np.savez(tmp_path / "set.npz", vectors=VECTORS, pose=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "set.npz", "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("vectors.npy", b"another")
    with pytest.raises(UserError, match="two arrays of the name 'vectors'"):
        read(tmp_path / "set.npz")
    np.savez(tmp_path / "set.npz", vectors=VECTORS)
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1, "SC_PAGE_SIZE": 100}.get)
    with pytest.raises(UserError, match="but this machine has"):
        read(tmp_path / "set.npz")


def test_columns_of_another_length_are_refused_before_they_are_read(tmp_path):
    for names in (np.array("one"), np.empty(5_000_000, "<U1")):  # as texts, the latter would take half a minute
        np.savez(tmp_path / "set.npz", vectors=VECTORS, names=names)
        with pytest.raises(UserError, match="names of shape"):
            read(tmp_path / "set.npz")

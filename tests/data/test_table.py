"""Tables: columns by name, lists or one column per element, the same set from Parquet and CSV."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data.readers import read

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2) / 7
TEXTS = {"name": ["a", "b", "ü"], "subject": ["p", "p", ""], "gender": ["M", "female", ""], "source": ["x", "x", "y"]}
TEXTS["parent"] = ["", "a", ""]
ELEMENTS = {"v0": VECTORS[:, 0], "v1": VECTORS[:, 1]}


def write(path, columns, **metadata):
    table = pa.table(columns)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.fixture(params=["elements.csv", "elements.parquet", "vector", "embedding", "fixed"])
def file(request, tmp_path):
    """A file of each layout, all with the same rows."""
    path = tmp_path / f"set{'.csv' if request.param.endswith('.csv') else '.parquet'}"
    lists = pa.array(VECTORS.tolist(), type=pa.list_(pa.float64()))
    vectors = {
        "vector": {"vector": lists},
        "embedding": {"embedding": lists},
        "fixed": {"vector": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2)},
    }.get(request.param, ELEMENTS)
    return write(path, {"age": [1, 2.5, 18]} | TEXTS | vectors)


def test_every_column_is_read(file):
    vs = read(file, encoder="facenet")
    assert vs.vectors.tolist() == VECTORS.tolist()
    assert vs.ages.tolist() == [1, 2.5, 18]
    assert vs.names.tolist() == ["a", "b", "ü"]
    assert vs.subjects.tolist() == ["p", "p", ""]
    assert vs.gender.tolist() == ["male", "female", ""]
    assert vs.source.tolist() == ["x", "x", "y"]
    assert vs.parents.tolist() == ["", "a", ""]
    assert vs.encoder == "facenet"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_only_vectors_are_needed(tmp_path, suffix):
    vs = read(write(tmp_path / f"set{suffix}", {"v1": [1, 2], "v0": [5, 6]}))
    assert vs.ages is None
    assert vs.vectors.tolist() == [[5, 1], [6, 2]]
    assert vs.names.tolist() == ["set:0", "set:1"]
    assert vs.encoder == "unknown"


def test_more_than_ten_elements_keep_their_order(tmp_path):
    columns = {f"v{place}": [float(place)] for place in reversed(range(12))}
    assert read(write(tmp_path / "set.csv", {"age": [1]} | columns)).vectors.tolist() == [list(range(12))]


def test_the_encoder_of_a_parquet_file_counts(tmp_path):
    path = write(tmp_path / "set.parquet", {"age": [1, 2, 3]} | ELEMENTS, **{"vec2uage.encoder": "facenet"})
    assert read(path).encoder == "facenet"
    with pytest.raises(UserError, match=r"made by encoder 'facenet', but the option encoder says 'dlib'"):
        read(path, encoder="dlib")


def test_other_columns_are_named(tmp_path, caplog):
    read(write(tmp_path / "set.csv", {"age": [1, 2, 3], "pose": [1, 2, 3]} | ELEMENTS))
    assert "columns that are not read: pose" in caplog.text


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_missing_values_are_bad_rows(tmp_path, suffix):
    columns = {"age": [1, None, 3], "v0": [1, 2, 3], "v1": [4.5, 5, None], "name": ["a", "b", None]}
    path = write(tmp_path / f"set{suffix}", columns)
    with pytest.raises(UserError, match="2 of 3 rows are bad"):
        read(path)
    assert read(path, bad_rows="drop").names.tolist() == ["a"]


def test_lists_of_other_lengths_and_missing_ones_are_bad_rows(tmp_path):
    lists = pa.array([[1.0, 2], None, [3], [4, 5], [6, None]])
    path = write(tmp_path / "set.parquet", {"age": [1, 2, 3, 4, 5], "vector": lists})
    vs = read(path, bad_rows="drop")
    assert vs.vectors.tolist() == [[1, 2], [4, 5]]
    assert vs.ages.tolist() == [1, 4]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "columns",
    [
        {"age": [1]},
        {"age": [1], "v0": [1], "v2": [1]},
        {"age": [1], "v1": [1]},
    ],
)
def test_missing_columns_are_named(tmp_path, suffix, columns):
    path = write(tmp_path / f"set{suffix}", columns)
    with pytest.raises(UserError, match=rf"needed are columns age, if .*it has {', '.join(columns)}"):
        read(path)


def test_genders_are_checked(tmp_path):
    with pytest.raises(UserError, match="gender 'boy' is not one of male, female, m, f or empty"):
        read(write(tmp_path / "set.csv", {"age": [1, 2, 3], "gender": ["m", "boy", "f"]} | ELEMENTS))


HEAD = "age,v0,v1\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable .csv table"),
        (HEAD.encode(), "no usable row"),
        ((HEAD + "1,2,3\n4,5\n").encode(), "not a readable .csv table.*Expected 3 columns"),
        ((HEAD + "1,2,x\n").encode(), "not a readable .csv table.*'x'"),
        ((HEAD + "old,2,3\n").encode(), "not a readable .csv table.*'old'"),
        (b"age,v0,name\n1,2,\xff\n", "not a readable .csv table.*UTF8"),
        (b"age,v0,n\xff\n1,2,3\n", "not a readable .csv table"),
        (b"age,age,v0\n1,2,3\n", "each once"),
        (b"age,v0,v0\n1,2,3\n", "each once"),
        (bytes(range(256)), "needed are columns|not a readable .csv table"),
    ],
)
def test_damaged_csv_ends_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "set.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_damaged_parquet_ends_in_one_sentence(tmp_path):
    path = write(tmp_path / "set.parquet", {"age": [1, 2, 3]} | ELEMENTS)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:100], whole[:-1], whole[:4] + bytes(60) + whole[64:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not a readable \.parquet table"):
            read(path)


@pytest.mark.parametrize("column", [{"age": ["old"]}, {"vector": ["text"]}, {"vector": [[["deep"]]]}, {"vector": [5]}])
def test_columns_of_another_type_are_refused(tmp_path, column):
    path = write(tmp_path / "set.parquet", {"age": [1], "vector": [[1.0]]} | column)
    with pytest.raises(UserError, match=r"not a readable \.parquet table"):
        read(path)


def test_pandas_is_not_imported(tmp_path):
    lists = pa.array([[1.0, 2], None, [4, 5]])
    write(tmp_path / "set.csv", {"age": [1, None, 3]} | TEXTS | ELEMENTS)
    write(tmp_path / "set.parquet", {"age": [1, 2, 3], "vector": lists} | TEXTS)
    code = f"""
import sys
from pathlib import Path
from vec2uage.data.readers import read
for name in ("set.csv", "set.parquet"):
    read(Path({str(tmp_path)!r}) / name, bad_rows="drop")
sys.exit("pandas" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_subjects_missing_in_a_column_of_numbers_are_unknown(tmp_path):
    columns = {"vector": [[1.0], [2.0], [3.0]], "age": [1, 2, 3], "subject": pa.array([7.0, float("nan"), None])}
    pa.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").subjects.tolist() == ["7", "", ""]

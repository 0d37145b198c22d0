"""Tables: columns by name, lists or one column per element, the same set from Parquet and CSV."""

import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from vec2uage.base.errors import UserError
from vec2uage.data.readers import hostile, read

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


def test_rows_without_a_vector_are_bad_however_many_they_are(tmp_path):
    lists = pa.array([None, None, [1.0, 2]])
    path = write(tmp_path / "set.parquet", {"age": [1, 2, 3], "vector": lists})
    assert read(path, bad_rows="drop").vectors.tolist() == [[1, 2]]


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
        (b"", "it has none"),
        (HEAD.encode(), "no usable row"),
        ((HEAD + "1,2,3\n4,5\n").encode(), "not a readable .csv table.*Expected 3 columns"),
        ((HEAD + "1,2,x\n").encode(), r"no usable row \(NaN or Inf in the vector: 1 \(set:0\)"),
        ((HEAD + "old,2,3\n").encode(), r"no usable row \(age not a number: 1 \(set:0\)"),
        ((HEAD + '1,2,"0,5"\n').encode(), "column v1: '0,5' has a decimal comma"),
        (b"age;v0;v1\n1;0,5;0,5\n", "'0,5' has a decimal comma"),
        (HEAD.encode("utf-16"), "UTF-16"),
        (HEAD.encode("utf-16-le"), "UTF-16"),
        (b'age,v0,name\n1,2,"a\n3,4,b\n5,6,c\n', "quote is not closed"),
        (b'age,v0,name\n1,2,"a\n3,4,"b\n5,6,c\n', "line 2: a quote inside a cell"),
        (b"age,v0,name\n1,2,5'10\"\n3,4,b\n", "quote is not closed"),
        (b'age,vector\n1,"0,5 0,5"\n2,"[0.1 ... 0.2]"\n', "column vector: '0,5 0,5' is no vector: write it as"),
        (b"age,v0,name\n1,2,\xff\n", "not a readable .csv table.*UTF8"),
        (b"age,age,v0\n1,2,3\n", "each once"),
        (b"age,v0,v0\n1,2,3\n", "each once"),
        (bytes(range(256)), "UTF-16"),
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


DAY = date(2001, 5, 5)


@pytest.mark.parametrize(
    "column",
    [
        *({"age": [value]} for value in (True, DAY, timedelta(days=9), [3.0], {"a": 3})),
        *({"vector": [value]} for value in ("text", [["deep"]], 5, [True], [DAY], ["1"])),
        *({"vector": None, "v0": [value]} for value in (True, DAY, timedelta(days=9))),
        *({"subject": [value]} for value in (True, DAY, [1], 1e300)),
    ],
    ids=str,
)
def test_columns_of_another_type_are_refused(tmp_path, column):
    columns = {"age": [1], "vector": [[1.0]]} | column
    path = write(tmp_path / "set.parquet", {name: values for name, values in columns.items() if values is not None})
    with pytest.raises(UserError, match=r"age|vector|column v0|subject"):
        read(path)


def test_columns_that_say_numbers_in_another_type_are_read(tmp_path):
    decimals = pa.array([Decimal("1.5"), Decimal("2")])
    columns = {
        "age": pa.array(["7", "12.5"]).dictionary_encode(),
        "subject": pa.array([12.0, None]),
        "v0": decimals,
        "v1": pa.array([1, 2], pa.float16()),
    }
    vs = read(write(tmp_path / "set.parquet", columns))
    assert (vs.ages.tolist(), vs.subjects.tolist()) == ([7, 12.5], ["12", ""])
    assert vs.vectors.tolist() == [[1.5, 1], [2, 2]]


def test_a_run_of_equal_numbers_larger_than_any_set_is_refused_before_it_is_unfolded(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "LARGE", 1_000_000)
    ones = pa.ListArray.from_arrays(pa.array([0, 1_000_000], pa.int32()), pa.array(np.ones(1_000_000, np.float32)))
    path = write(tmp_path / "set.parquet", {"vector": ones, "age": [1]})
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match=r"says that it holds 4 MB in 0"):
        read(path)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_csv_says_the_same_however_it_is_written(tmp_path, delimiter):
    rows = [(" Age", "V0", "v1 ", "Names", ""), ("3", "1.5", "2", '"a\nb;|"', ""), ("4", "3", "4", "c", "")]
    text = "\r\n" + "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "set.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    vs = read(tmp_path / "set.csv")
    assert (vs.ages.tolist(), vs.names.tolist()) == ([3, 4], ["a\nb;|", "c"])
    assert vs.vectors.tolist() == [[1.5, 2], [3, 4]]


def test_line_ends_in_quotes_belong_to_their_cell_in_a_csv_of_many_blocks(tmp_path):
    names = [f"first\nsecond {row}" for row in range(5000)]
    for last in (False, True):
        rows = [f'{row},"{name}"' if last else f'"{name}",{row}' for row, name in enumerate(names, 1)]
        padded = [row + "," + "0" * 300 for row in rows]
        (tmp_path / "set.csv").write_text("\n".join(["v0,name,pad" if last else "name,v0,pad", *padded]))
        vs = read(tmp_path / "set.csv")
        assert vs.names.tolist() == names
        assert vs.vectors[:, 0].tolist() == list(range(1, 5001))


def test_pandas_is_not_imported(tmp_path):
    lists = pa.array([[1.0, 2], None, [4, 5]])
    write(tmp_path / "set.csv", {"age": [1, None, 3]} | TEXTS | ELEMENTS)
    write(tmp_path / "set.parquet", {"age": [1, 2, 3], "vector": lists} | TEXTS)
    code = f"""
import sys
from pathlib import Path
from vec2uage.data.readers import hostile, read
for name in ("set.csv", "set.parquet"):
    read(Path({str(tmp_path)!r}) / name, bad_rows="drop")
sys.exit("pandas" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_subjects_missing_in_a_column_of_numbers_are_unknown(tmp_path):
    columns = {"vector": [[1.0], [2.0], [3.0]], "age": [1, 2, 3], "subject": pa.array([7.0, float("nan"), None])}
    pa.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").subjects.tolist() == ["7", "", ""]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_subjects_as_floats_are_persons_only_as_far_as_they_tell_them_apart(tmp_path, kind):
    vectors = {"vector": VECTORS[:2].tolist()}
    told = write(tmp_path / "told.parquet", vectors | {"subject": pa.array(np.array([12, np.nan], kind))})
    assert read(told).subjects.tolist() == ["12", ""]
    most = 2 ** (np.finfo(kind).nmant + 1)
    with pytest.raises(UserError, match="stands for many whole numbers"):
        read(write(tmp_path / "most.parquet", vectors | {"subject": pa.array(np.array([most, most + 1], kind))}))


def test_most_vectors_may_be_missing(tmp_path):
    file = write(tmp_path / "set.parquet", {"age": [1, 2, 3], "vector": pa.array([None, [1.0, 2.0], None])})
    assert read(file, bad_rows="drop").ages.tolist() == [2]

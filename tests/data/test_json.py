"""The paper's JSON: read in a stream, written so that every float32 comes back."""

import json
import logging
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import VectorFile
from vec2uage.data.readers import read
from vec2uage.data.readers.json import write
from vec2uage.data.vectorset import make_vector_set


@pytest.fixture
def file(tmp_path):
    """Write a text or bytes to a file and return its path."""

    def make(content):
        path = tmp_path / "set.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def test_names_give_subject_and_age(file, caplog):
    rows = {"person-7_1_0.jpg": [1, 2.5], "p_15.5_x.JPG": [3e-2, -4], "_0_1.jpeg": [5, 6]}
    with caplog.at_level(logging.INFO):
        vs = read(file(json.dumps(rows)), encoder="facenet")
    assert "ages are read as in <subject>_<age>_<rest>.jpg: person-7_1_0.jpg is of age 1" in caplog.text
    assert vs.names.tolist() == list(rows)
    assert vs.subjects.tolist() == ["person-7", "p", ""]
    assert vs.ages.tolist() == [1, 15.5, 0]
    assert vs.vectors.tolist() == np.array(list(rows.values()), dtype=np.float32).tolist()
    assert vs.source.tolist() == ["set"] * 3
    assert vs.encoder == "facenet"
    assert read(file(json.dumps(rows))).encoder == "unknown"


UTKFACE = ["25_0_2_20170116174525125.jpg", "9_1_3_20161219140623097.jpg", "16_1_1_20170109204548634.jpg.chip.jpg"]


def test_names_of_other_data_sets_are_read_as_these_mean_them(file):
    vs = read(file(json.dumps({name: [1.0, k] for k, name in enumerate(UTKFACE)})))
    assert (vs.ages.tolist(), vs.gender.tolist()) == ([25, 9, 16], ["male", "female", "female"])
    mixed = file(json.dumps({name: [1.0, k] for k, name in enumerate([*UTKFACE, "p_7_0.jpg"])}))
    with pytest.raises(UserError, match=r"1 of 4 rows are bad \(age missing: 1 \(p_7_0\.jpg\)\)"):
        read(mixed)
    assert read(mixed, bad_rows="drop").ages.tolist() == [25, 9, 16]


def test_where_names_can_be_read_in_two_ways_the_pattern_says_which(file):
    path = file(json.dumps({"p_11_3_0.jpg": [1], "q_12_4_0.jpg": [2]}))
    with pytest.raises(
        UserError, match=r"two ways: 'p_11_3_0\.jpg' is of age 11 .*pattern=paper.* of age 3 .*=numbered"
    ):
        read(path)
    for pattern, ages, subjects in [
        ("paper", [11, 12], ["p", "q"]),
        ("numbered", [3, 4], ["p_11", "q_12"]),
        (r"(?P<subject>.)_\d+_\d+_(?P<age>\d+)\.jpg", [0, 0], ["p", "q"]),
    ]:
        vs = read(path, pattern=pattern)
        assert (vs.ages.tolist(), vs.subjects.tolist()) == (ages, subjects)
    with pytest.raises(UserError, match=r"no usable row \(age missing: 2"):
        read(path, pattern="utkface")
    assert VectorFile(path=str(path), pattern="paper").read().ages.tolist() == [11, 12]


def test_the_pattern_is_checked_and_belongs_to_json(tmp_path):
    with pytest.raises(ValueError, match="one of paper, numbered"):
        VectorFile(path="f.json", pattern="utkfaces")
    np.savez(tmp_path / "f.npz", vectors=np.eye(2))
    with pytest.raises(UserError, match="the option pattern is for JSON"):
        read(tmp_path / "f.npz", pattern="paper")


def test_a_byte_order_mark_is_no_part_of_the_text(file):
    text = json.dumps({"a_3_0.jpg": [1.0, 2.0]})
    assert read(file(b"\xef\xbb\xbf" + text.encode())).ages.tolist() == [3]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(UserError, match=r"UTF-16.* save it as UTF-8"):
            read(file(text.encode(encoding)))


@pytest.mark.parametrize("name", ["p.jpg", "p_1.jpg", "p_x_1.jpg", "p_-1_1.jpg", "p_1._1.jpg", "p_1_1", "p_1_1.jpg "])
def test_other_names_have_no_age(file, name):
    path = file(json.dumps({"p_1_1.jpg": [1], name: [2]}))
    with pytest.raises(UserError, match=rf"1 of 2 rows are bad \(age missing: 1 \({re.escape(name)}\)\)"):
        read(path)
    assert read(path, bad_rows="drop").names.tolist() == ["p_1_1.jpg"]


def test_where_no_name_states_an_age_none_is_known(file, caplog):
    vs = read(file(json.dumps({"p.jpg": [2], "q.jpg": [3]})))
    assert (vs.ages, vs.names.tolist()) == (None, ["p.jpg", "q.jpg"])
    assert "no name is like those of paper, numbered, utkface" in caplog.text
    assert "no age is known (the first is 'p.jpg')" in caplog.text


def test_bad_rows_are_counted(file):
    rows = '"a_1_0.jpg": [1, 2], "a_1_0.jpg": [1, 2], "b_2_0.jpg": [1, null], "c_3_0.jpg": [1], "d_4_0.jpg": [1, 1e300]'
    path = file("{" + rows + ', "e_200_0.jpg": [1, 2]}')
    with pytest.raises(UserError) as refusal:
        read(path)
    for reason in ("duplicate row: 1", "NaN or Inf in the vector: 2", "dimension other than 2: 1", "above 120: 1"):
        assert reason in str(refusal.value)
    assert read(path, bad_rows="drop").vectors.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ('{"a_1_0.jpg": [1, 2', "not valid JSON"),
        ('{"a_1_0.jpg": [1, NaN]}', "not valid JSON, where NaN and Infinity do not exist"),
        ('{"a_1_0.jpg": [1e999]}', "not valid JSON.*overflow"),
        ('{"a_1_0.jpg": [' + "9" * 400 + "]}", "not valid JSON.*overflow"),
        ('{"a_1_0.jpg": [1]} {"b_1_0.jpg": [1]}', "not valid JSON"),
        (b'{"a\xff_1_0.jpg": [1]}', "not valid JSON.*UTF8"),
        (b"\x80\x04N.", "not valid JSON"),
        ("[[1, 2]]", "no JSON object of the form"),
        ("{}", "no usable row"),
        ('{"a_1_0.jpg": 5}', "value of 'a_1_0.jpg' is no list of numbers"),
        ('{"a_1_0.jpg": {"x": [1]}}', "value of 'a_1_0.jpg' is no list of numbers"),
        ('{"a_1_0.jpg": [[1, 2]]}', "value of 'a_1_0.jpg' is no list of numbers"),
        ('{"a_1_0.jpg": ["1"]}', "value of 'a_1_0.jpg' is no list of numbers"),
        ('{"a_1_0.jpg": ' + "[" * 100_000, "value of 'a_1_0.jpg' is no list of numbers"),
        ("[" * 100_000, "no JSON object of the form"),
    ],
)
def test_anything_else_ends_in_one_sentence(file, content, message):
    path = file(content)
    with pytest.raises(UserError, match=message) as refusal:
        read(path, bad_rows="drop")
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


finite = st.floats(-1e7, 1e7, width=32)
years = st.floats(0, 120, width=32)


@given(st.data())
def test_what_is_written_comes_back_to_the_bit(tmp_path_factory, data):
    count = data.draw(st.integers(1, 5))
    subjects = data.draw(st.lists(st.text() | st.sampled_from(["a_5", "%5F", "7_1_0"]), min_size=count, max_size=count))
    vs = make_vector_set(
        data.draw(
            arrays(np.float32, (count, 3), elements=finite).filter(lambda rows: (np.abs(rows) > 1e-7).any(axis=1).all())
        ),
        data.draw(st.lists(years, min_size=count, max_size=count)),
        subjects=subjects,
        source="x",
    )
    path = tmp_path_factory.mktemp("json") / "set.json"
    write(vs, path)
    back = read(path)
    assert back.vectors.tobytes() == (vs.vectors + np.float32(0)).tobytes()  # -0 becomes 0
    assert back.ages.tolist() == vs.ages.tolist()
    assert back.subjects.tolist() == vs.subjects.tolist()
    assert all(float(name.split("_")[1]) == age for name, age in zip(back.names, vs.ages, strict=True))
    assert [path.name for path in path.parent.iterdir()] == ["set.json"]


def test_the_file_is_json_in_the_papers_layout(tmp_path):
    vs = make_vector_set([[0.1, 1], [2, 3], [4, 5]], [1, 1, 15.5], subjects=["p", "p", ""], names="abc")
    write(vs, tmp_path / "set.json")
    content = json.loads((tmp_path / "set.json").read_text())
    assert list(content) == ["p_1_0.jpg", "p_1_1.jpg", "_15.5_0.jpg"]
    assert np.float32(content["p_1_0.jpg"]).tolist() == vs.vectors[0].tolist()
    assert content["_15.5_0.jpg"] == [4, 5]


def test_a_name_twice_with_two_vectors_is_no_row(file):
    path = file('{"a_1_0.jpg": [1, 2], "a_1_0.jpg": [3, 4], "b_2_0.jpg": [5, 6]}')
    with pytest.raises(UserError, match=r"duplicate name of different rows: 2 \(a_1_0\.jpg\)"):
        read(path)
    assert read(path, bad_rows="drop").names.tolist() == ["b_2_0.jpg"]

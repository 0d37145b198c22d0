"""The paper's JSON: read in a stream, written so that every float32 comes back."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vec2uage.base.errors import UserError
from vec2uage.data.readers import read
from vec2uage.data.readers.json import NAME, write
from vec2uage.data.vectorset import make_vector_set


@pytest.fixture
def file(tmp_path):
    """Write a text or bytes to a file and return its path."""

    def make(content):
        path = tmp_path / "set.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def test_names_give_subject_and_age(file):
    rows = {"person_7_1_0.jpg": [1, 2.5], "p_15.5_12.JPG": [3e-2, -4], "_0_1.jpeg": [5, 6]}
    vs = read(file(json.dumps(rows)), encoder="facenet")
    assert vs.names.tolist() == list(rows)
    assert vs.subjects.tolist() == ["person_7", "p", ""]
    assert vs.ages.tolist() == [1, 15.5, 0]
    assert vs.vectors.tolist() == np.array(list(rows.values()), dtype=np.float32).tolist()
    assert vs.source.tolist() == ["set"] * 3
    assert vs.encoder == "facenet"
    assert read(file(json.dumps(rows))).encoder == "unknown"


@pytest.mark.parametrize("name", ["p.jpg", "p_1.jpg", "p_x_1.jpg", "p_-1_1.jpg", "p_1._1.jpg", "p_1_1", "p_1_1.jpg "])
def test_other_names_have_no_age(file, name):
    path = file(json.dumps({"p_1_1.jpg": [1], name: [2]}))
    with pytest.raises(UserError, match=rf"1 of 2 rows are bad \(age missing: 1 \({re.escape(name)}\)\)"):
        read(path)
    assert read(path, bad_rows="drop").names.tolist() == ["p_1_1.jpg"]


def test_where_no_name_states_an_age_none_is_known(file, caplog):
    vs = read(file(json.dumps({"p.jpg": [2], "q.jpg": [3]})))
    assert (vs.ages, vs.names.tolist()) == (None, ["p.jpg", "q.jpg"])
    assert "no picture is named like <subject>_<age>_<n>.jpg, so no age is known" in caplog.text


def test_bad_rows_are_counted(file):
    rows = '"a_1_0.jpg": [1, 2], "a_1_0.jpg": [3, 4], "b_2_0.jpg": [1, null], "c_3_0.jpg": [1], "d_4_0.jpg": [1, 1e300]'
    path = file("{" + rows + ', "e_200_0.jpg": [1, 2]}')
    with pytest.raises(UserError) as refusal:
        read(path)
    for reason in ("duplicate name: 1", "NaN or Inf in the vector: 2", "dimension other than 2: 1", "above 120: 1"):
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


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
years = st.floats(0, 120, width=32)


@given(st.data())
def test_what_is_written_comes_back_to_the_bit(tmp_path_factory, data):
    count = data.draw(st.integers(1, 5))
    subjects = data.draw(st.lists(st.text(), min_size=count, max_size=count))
    vs = make_vector_set(
        data.draw(arrays(np.float32, (count, 3), elements=finite).filter(lambda rows: rows.any(axis=1).all())),
        data.draw(st.lists(years, min_size=count, max_size=count)),
        subjects=subjects,
        source="x",
    )
    path = tmp_path_factory.mktemp("json") / "set.json"
    write(vs, path)
    back = read(path)
    assert back.vectors.tobytes() == (vs.vectors + np.float32(0)).tobytes()  # -0 becomes 0
    assert back.ages.tolist() == vs.ages.tolist()
    assert back.subjects.tolist() == subjects
    assert all(NAME.fullmatch(name) for name in back.names)
    assert [path.name for path in path.parent.iterdir()] == ["set.json"]


def test_the_file_is_json_in_the_papers_layout(tmp_path):
    vs = make_vector_set([[0.1, 1], [2, 3], [4, 5]], [1, 1, 15.5], subjects=["p", "p", ""], names="abc")
    write(vs, tmp_path / "set.json")
    content = json.loads((tmp_path / "set.json").read_text())
    assert list(content) == ["p_1_0.jpg", "p_1_1.jpg", "_15.5_0.jpg"]
    assert np.float32(content["p_1_0.jpg"]).tolist() == vs.vectors[0].tolist()
    assert content["_15.5_0.jpg"] == [4, 5]

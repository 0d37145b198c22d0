"""VectorSet: what is checked, what is refused, what is dropped and said so."""

import logging
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import drop_exact_duplicates, make_vector_set, merge, needed_ages

NAN, INF = float("nan"), float("inf")


def test_good_rows_become_typed_columns_without_copying_vectors():
    vectors = np.eye(3, dtype=np.float32)
    vs = make_vector_set(vectors, [1, 2.5, 18], source="here", gender=["male", "", "female"])
    assert np.shares_memory(vs.vectors, vectors)
    assert vs.ages.dtype == np.float32
    assert vs.ages.tolist() == [1, 2.5, 18]
    assert vs.names.tolist() == ["here:0", "here:1", "here:2"]
    assert vs.source.tolist() == ["here"] * 3
    assert (len(vs), vs.dimension, vs.encoder, vs.has_subjects) == (3, 3, "unknown", False)


BAD = {
    "NaN": {"vectors": [[1, 2], [NAN, 2], [5, 6]], "reason": "NaN or Inf in the vector: 1 (b)"},
    "Inf": {"vectors": [[1, 2], [3, -INF], [5, 6]], "reason": "NaN or Inf in the vector: 1 (b)"},
    "element missing": {"vectors": [[1, 2], [None, 4], [5, 6]], "reason": "NaN or Inf in the vector: 1 (b)"},
    "zeros": {"vectors": [[1, 2], [0, -0.0], [5, 6]], "reason": "vector of zeros: 1 (b)"},
    "short": {"vectors": [[1, 2], [3], [5, 6]], "reason": "dimension other than 2: 1 (b)"},
    "age missing": {"ages": [1, None, 3], "reason": "age missing: 1 (b)"},
    "age negative": {"ages": [1, -0.5, 3], "reason": "age negative or above 120: 1 (b)"},
    "age above 120": {"ages": [1, 121, 3], "reason": "age negative or above 120: 1 (b)"},
    "no number": {"ages": [1, "12 years", 3], "reason": "age not a number: 1 (b)"},
    "no age": {"ages": ["1", "NA", "3"], "reason": "age missing: 1 (b)"},
    "long": {"vectors": [[1, 2], [1e9, 0], [5, 6]], "reason": "a length beyond 1e-08 to 1e+08: 1 (b)"},
    "squares are no floats": {"vectors": [[1, 2], [1e30, 1e30], [5, 6]], "reason": "a length beyond"},
    "squares are zero": {"vectors": [[1, 2], [1e-30, 0], [5, 6]], "reason": "a length beyond"},
    "float64 alone": {"vectors": np.array([[1, 2], [1e300, 0], [5, 6]]), "reason": "NaN or Inf in the vector: 1 (b)"},
    "float64 near zero": {"vectors": np.array([[1, 2], [1e-300, 0], [5, 6]]), "reason": "vector of zeros: 1 (b)"},
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_refused_or_dropped_and_named(case, caplog):
    rows = {"vectors": [[1, 2], [3, 4], [5, 6]], "ages": [1, 2, 3], "names": ["a", "b", "c"]} | BAD[case]
    reason = rows.pop("reason")
    with pytest.raises(UserError) as refusal:
        make_vector_set(**rows, where="file.npz")
    assert str(refusal.value).startswith("file.npz: 1 of 3 rows are bad (")
    assert reason in str(refusal.value)
    assert "bad_rows=drop" in str(refusal.value)

    with caplog.at_level(logging.WARNING):
        vs = make_vector_set(**rows, bad_rows="drop")
    assert vs.names.tolist() == ["a", "c"]
    assert vs.vectors.tolist() == [[1, 2], [5, 6]]
    assert vs.ages.tolist() == [1, 3]
    assert reason in caplog.text


def test_age_limits_themselves_are_good():
    assert make_vector_set([[1.0], [2.0]], [0, 120]).ages.tolist() == [0, 120]


def test_a_row_given_twice_counts_once_and_rows_that_contradict_each_other_not_at_all():
    same = {
        "vectors": [[1, 2], [1, 2], [5, 6]],
        "ages": [1, 1, 3],
        "names": ["a", "a", "c"],
        "subjects": ["p", "p", ""],
    }
    with pytest.raises(UserError, match=r"1 of 3 rows are bad \(duplicate row: 1 \(a\)\)"):
        make_vector_set(**same)
    assert make_vector_set(**same, bad_rows="drop").names.tolist() == ["a", "c"]
    for other in ({"ages": [1, 2, 3]}, {"vectors": [[1, 2], [1, 3], [5, 6]]}, {"subjects": ["p", "q", ""]}):
        with pytest.raises(UserError, match=r"2 of 3 rows are bad \(duplicate name of different rows: 2 \(a\)\)"):
            make_vector_set(**same | other)
        assert make_vector_set(**same | other, bad_rows="drop").names.tolist() == ["c"]


def test_the_log_counts_each_reason_and_names_the_first_three():
    vectors = np.full((6, 2), np.nan)
    vectors[5] = 1
    with pytest.raises(UserError, match=r"vector: 5 \(0, 1, 2 and 2 more\)"):
        make_vector_set(vectors, [1] * 6, names="012345")
    vectors[0] = 2
    with pytest.raises(UserError, match=r"age missing: 1 \(5\)") as both:
        make_vector_set(vectors, [1] * 5 + [None], names="012345")
    assert "vector: 4 (1, 2, 3 and 1 more)" in str(both.value)


def test_a_name_counts_as_duplicate_only_among_good_rows():
    vs = make_vector_set([[NAN], [2]], [1, 2], names=["a", "a"], bad_rows="drop")
    assert vs.ages.tolist() == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vectors": [], "ages": []}, "no usable row"),
        ({"vectors": [[NAN]], "ages": [1], "bad_rows": "drop"}, "no usable row"),
        ({"vectors": [[1], [2]], "ages": [1]}, "2 vectors but ages of shape"),
        ({"vectors": [[1], [2]], "ages": [1, 2], "names": ["a"]}, "2 vectors but names of shape"),
        ({"vectors": [[1], [2]], "ages": [[1], [2]]}, "ages are not numbers"),
        ({"vectors": [[1], [2]], "ages": np.ones((2, 1))}, r"ages of shape \(2, 1\)"),
        ({"vectors": [[1], [2]], "ages": None, "subjects": []}, "2 vectors but subjects of shape"),
        ({"vectors": [[1]], "ages": [1], "gender": ["boy"]}, "gender 'boy'"),
        ({"vectors": [1, 2], "ages": [1, 2]}, r"\[N, D\]"),
        ({"vectors": np.array(1.0), "ages": [1]}, r"\[N, D\]"),
        ({"vectors": np.zeros((2, 0)), "ages": [1, 2]}, r"\[N, D\]"),
        ({"vectors": [["x"]], "ages": [1]}, "vector 0 are not numbers"),
        ({"vectors": [[1]], "ages": ["old"]}, "age not a number"),
        ({"vectors": [[True]], "ages": [1]}, "vector 0 are truth values"),
        ({"vectors": np.array([["1.5"]]), "ages": [1]}, "vectors are not numbers"),
        ({"vectors": np.array([[1]], "m8[D]"), "ages": [1]}, "vectors are spans of time"),
        ({"vectors": np.array([[1]], "M8[D]"), "ages": [1]}, "vectors are dates"),
        ({"vectors": np.array([[(1, 2)]], "i4,i4"), "ages": [1]}, "vectors are records"),
        ({"vectors": [[10**400]], "ages": [1]}, "beyond all numbers"),
        *(
            ({"vectors": [[1]], "ages": [value]}, "ages are")
            for value in (True, np.datetime64("2001"), date(2001, 5, 5))
        ),
        *(({"vectors": [[1]], "ages": np.array([1], kind)}, "ages are") for kind in ("?", "M8[Y]", "m8[D]", "c8")),
        *(({"vectors": [[1]], "ages": [1], "subjects": [value]}, "subjects") for value in (True, 1j, b"\xff", 2.0**60)),
        ({"vectors": [[1]], "ages": [1], "names": ["\ud800"]}, "names: '.ud800' is not text"),
    ],
)
def test_input_that_is_no_table_of_vectors_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        make_vector_set(**arguments)


def test_take_copies_rows_by_position_or_mask(faces):
    vs = faces([1, 2, 3], subjects=["p", "q", ""])
    taken = vs.take(np.array([2, 0]))
    assert taken.names.tolist() == ["faces:2", "faces:0"]
    assert taken.subjects.tolist() == ["", "p"]
    assert taken.ages.tolist() == [3, 1]
    assert (taken.vectors == vs.vectors[[2, 0]]).all()
    assert not np.shares_memory(taken.vectors, vs.vectors)
    assert vs.take(vs.ages > 1).ages.tolist() == [2, 3]


def test_fingerprint_depends_on_every_value_and_nothing_else(faces):
    vs = faces([1, 2, 3])
    assert faces([1, 2, 3]).fingerprint() == vs.fingerprint()
    assert len(vs.fingerprint()) == 16
    vectors = vs.vectors.copy()
    vectors[2, 3] = np.nextafter(vectors[2, 3], 1)
    text = np.array(["", "", "x"], dtype=object)
    changed = [replace(vs, vectors=vectors), replace(vs, ages=vs.ages + 1), replace(vs, encoder="other")]
    changed += [replace(vs, **{column: text}) for column in ("names", "subjects", "source", "gender")]
    changed += [vs.take(np.array([1, 0, 2])), vs.take(np.array([0, 1]))]
    assert len({vs.fingerprint(), *(other.fingerprint() for other in changed)}) == len(changed) + 1


def test_a_set_may_have_no_ages(faces):
    aged = faces([1, 2, 3])
    vs = make_vector_set(aged.vectors, None, names=["z", "y", "x"], encoder="facenet")
    assert (len(vs), vs.ages, vs.take(np.array([2])).ages) == (3, None, None)
    assert vs.fingerprint() == replace(aged, ages=None, names=vs.names, source=vs.source).fingerprint()
    assert merge([vs, replace(aged, ages=None)]).ages is None
    assert needed_ages(aged, "a split").tolist() == [1, 2, 3]
    with pytest.raises(UserError, match="a split needs ages"):
        needed_ages(vs, "a split")
    with pytest.raises(UserError, match="with ages and vectors without"):
        merge([aged, vs])


def test_merge_appends_rows_of_one_encoder(faces):
    one = faces([1, 2])
    two = replace(faces([3]), names=np.array(["z"], dtype=object))
    both = merge([one, two])
    assert both.names.tolist() == ["faces:0", "faces:1", "z"]
    assert both.ages.tolist() == [1, 2, 3]
    assert both.encoder == "facenet"


def test_merge_refuses_what_does_not_belong_together(faces):
    one = faces([1])
    with pytest.raises(UserError, match="different encoders cannot be merged: dlib, facenet"):
        merge([one, faces([1], encoder="dlib")])
    with pytest.raises(UserError, match="unknown encoder"):
        merge([faces([1], encoder="unknown"), faces([2], encoder="unknown")])
    with pytest.raises(UserError, match="different dimensions"):
        merge([one, make_vector_set([[1.0, 2.0]], [1], encoder="facenet")])
    with pytest.raises(UserError, match=r"1 of 2 merged rows have the name of another one \(faces:0\); rename"):
        merge([one, one])


def test_merge_leaves_out_repeated_names_where_asked_to(faces, caplog):
    both = merge([faces([1, 2]), faces([1, 4, 5])], bad_rows="drop")
    assert both.ages.tolist() == [1, 5]  # faces:0 says the same twice, faces:1 says two things
    assert "3 of 5 merged rows have the name of another one (faces:1, faces:0) and are left out" in caplog.text


def test_missing_labels_are_unknown_whatever_stands_for_them():
    vs = make_vector_set(
        np.eye(4),
        [1, 2, 3, 4],
        subjects=[None, NAN, np.float64("nan"), b"Zo\xc3\xab"],
        names=np.array([b"a", b"b", b"c", b"d"]),
        parents=["nan", "NA", None, "a"],
    )
    assert vs.subjects.tolist() == ["", "", "", "Zoë"]
    assert vs.names.tolist() == ["a", "b", "c", "d"]
    assert vs.parents.tolist() == ["", "", "", "a"]


def test_a_missing_name_is_that_of_the_row():
    assert make_vector_set(np.eye(3), None, names=["a", None, ""], source="x").names.tolist() == ["a", "x:1", "x:2"]


def test_vectors_may_lie_in_memory_column_by_column():
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    usual, other = (make_vector_set(array, [1] * 5) for array in (rows, np.asfortranarray(rows)))
    assert other.fingerprint() == usual.fingerprint()
    assert len(drop_exact_duplicates(other)) == 5


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30))
def test_first_of_each_vector_is_kept_in_order(values):
    vs = make_vector_set(np.array(values, dtype=np.float32)[:, None], [1] * len(values))
    kept = drop_exact_duplicates(vs)
    assert kept.vectors[:, 0].tolist() == list(dict.fromkeys(values))
    assert kept.names.tolist() == [f":{values.index(value)}" for value in dict.fromkeys(values)]


def test_dropped_duplicates_are_counted_in_the_log(caplog):
    vs = make_vector_set([[1.0], [2.0], [1.0]], [1, 2, 3], names=["a", "b", "c"])
    with caplog.at_level(logging.WARNING):
        drop_exact_duplicates(vs)
    assert "kept 2 of 3 rows (dropped c); 1 of the dropped have another age than the one that is kept" in caplog.text


def test_fingerprint_and_rows_know_the_parents(faces):
    vs = faces([1, 2, 3])
    parents = ["", "faces:0", ""]
    augmented = replace(vs, parents=np.array(parents, dtype=object))
    other = replace(vs, parents=np.array(["", "faces:2", ""], dtype=object))
    assert vs.parents.tolist() == ["", "", ""]
    assert len({one.fingerprint() for one in (vs, augmented, other)}) == 3
    assert augmented.take(np.array([1, 0])).parents.tolist() == ["faces:0", ""]
    made = make_vector_set(vs.vectors, vs.ages, names=vs.names, source=vs.source, parents=parents, encoder=vs.encoder)
    assert made.fingerprint() == augmented.fingerprint()
    assert merge([made, replace(faces([4]), names=np.array(["z"], dtype=object))]).parents.tolist() == [*parents, ""]
    with pytest.raises(UserError, match="3 vectors but parents of shape"):
        make_vector_set(vs.vectors, vs.ages, parents=["", ""])


def test_complex_numbers_are_refused():
    with pytest.raises(UserError, match="the vectors: vectors are complex numbers"):
        make_vector_set(np.ones((2, 3), dtype=complex), [1, 2])

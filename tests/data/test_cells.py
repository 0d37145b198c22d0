"""Cells: missing values, labels that differ in form alone, numbers and vectors written as text."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.errors import UserError
from vec2uage.data.cells import as_gender, as_label, as_number, as_vector, is_missing

MISSING = [
    "",
    " ",
    "nan",
    "NaN",
    "None",
    "NULL",
    "null",
    "NA",
    "<NA>",
    "n/a",
    "N/A",
    "-",
    "\u00a0",
    "\u200b",
    "unknown",
]


@pytest.mark.parametrize("text", MISSING, ids=ascii)
def test_words_for_what_is_not_known_are_no_label(text):
    assert as_label(text, "x") == ""
    assert as_gender(text, "x") == ""


@pytest.mark.parametrize("code", [-1, "-1", "-1.0", "-999", -1.0])
def test_codes_for_what_is_not_known_are_no_label(code):
    assert as_label(code, "x") == ""


@pytest.mark.parametrize("text", ["Na", "0", "Nancy", "None of these", "a-1", "."])
def test_other_words_are_labels(text):
    assert not is_missing(text)
    assert as_label(text, "x") == text


@pytest.mark.parametrize(
    "forms",
    [
        ["12", "12.0", " 12 ", 12, 12.0, np.float32(12), np.int8(12), b"12", "\uff11\uff12", "12\u200b", "\ufeff12"],
        ["Zo\u00eb", "Zoe\u0308", "Zo\u00eb\u00a0", "\tZo\u00eb\n", "Zo\u00eb".encode()],
        ["Ann Lee", "Ann  Lee", "Ann\u00a0Lee", "\uff21nn Lee", "A\u00adnn Lee"],
        ["007", "007 "],
    ],
    ids=lambda forms: str(forms[0]),
)
def test_labels_that_differ_in_form_alone_are_one(forms):
    assert {as_label(form, "x") for form in forms} == {forms[0]}


def test_labels_that_differ_in_meaning_stay_apart():
    labels = ["7", "007", "7.5", "ann", "Ann", "Zoe", "Zo\u00eb"]
    assert [as_label(label, "x") for label in labels] == labels


@given(st.text())
def test_a_label_is_a_label_of_itself(text):
    label = as_label(text, "x")
    assert as_label(label, "x") == label
    assert label == label.strip()
    assert unicodedata.is_normalized("NFKC", label)


@pytest.mark.parametrize("value", [2.0**53, np.float32(2**24), np.inf, True, np.timedelta64(1), ["a"]], ids=str)
def test_what_cannot_be_told_apart_or_is_no_text_is_refused(value):
    with pytest.raises(UserError, match="column subject"):
        as_label(value, "column subject")


def test_numbers_are_what_people_mean():
    assert [as_number(text) for text in ("7", " 7.5 ", "\uff17", "1e1")] == [7, 7.5, 7, 10]
    assert np.isnan([as_number(text) for text in ("", "NA", "-", "nan")]).all()
    for text in ("12 years", "1_2", "7,5", "0x7", "2001-05-05", "true", "--5"):
        with pytest.raises(ValueError, match=r".+"):
            as_number(text)


@pytest.mark.parametrize(
    "text",
    ["[0.1, 0.2, -3e-2]", "0.1 0.2 -0.03", "[0.1 0.2\n -0.03]", "(0.1,0.2,-0.03)", "0.1;0.2;-.03", "0.1\t0.2  -.03"],
)
def test_vectors_in_one_cell(text):
    assert as_vector(text).tolist() == np.float32([0.1, 0.2, -0.03]).tolist()


@pytest.mark.parametrize(
    "text", ["0,1 0,2", "0,1;0,2", "0,1, 0,2", "[0.1 ... 0.2]", "[[1, 2]]", "tensor([1., 2.])", "a b", "1_0 2"]
)
def test_texts_that_are_no_vector(text):
    with pytest.raises(ValueError, match=r".+"):
        as_vector(text)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=9))
def test_what_python_and_numpy_print_comes_back(values):
    for text in (str(values), " ".join(map(repr, values)), str(tuple(values))):
        assert as_vector(text).tolist() == values

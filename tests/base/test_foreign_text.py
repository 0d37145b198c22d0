"""Foreign text does in no medium what it says; each shows it."""

import io
import re
from xml.etree import ElementTree

import markdown as reader
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.cbook import is_math_text

from vec2uage.base import foreign_text
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import VisibleStream, csv_cell, from_csv_cell, visible

NASTY = "\x1b]0;owned\x07\u202e$\\frac{$<img src=x onerror=alert(1)>[x](javascript:alert(1))|`a`\r\n=1+1\x00\udce9"


def test_one_line_shows_what_cannot_be_seen() -> None:
    assert visible("a\x1b[2Jb\nc\u202e\udce9 J\u00e4nner \u65e5\u672c") == (
        "a\\x1b[2Jb\\nc\\u202e\\udce9 J\u00e4nner \u65e5\u672c"
    )
    assert visible(NASTY).isprintable()


def test_a_text_of_any_length_makes_a_sentence_that_can_be_read() -> None:
    told = str(UserError(f"start {'x' * 10**6}\x1b end", ["y" * 10**6]))
    assert len(told) < 10_000
    assert told.startswith("start x")
    assert "\\x1b end\n" in told


def test_a_stream_keeps_lines_and_nothing_else_that_is_no_text() -> None:
    inner = io.StringIO()
    print(f"one\ntwo\t{NASTY}", file=VisibleStream(inner))
    assert inner.getvalue().startswith("one\ntwo\t\\x1b]0;owned")
    assert re.sub(r"[\n\r\t]", "", inner.getvalue()).isprintable()


@given(st.text(st.characters(), max_size=8) | st.text("='+-@\t\r1.5ea\uff1d", max_size=5))
def test_a_csv_cell_is_no_formula_and_gives_the_text_back(text: str) -> None:
    cell = csv_cell(text)
    assert from_csv_cell(cell) == text
    assert cell == text or cell == f"'{text}"
    try:
        float(cell)
    except ValueError:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))


@pytest.mark.parametrize("text", ["-1.5", "+3", "1e-5", "-inf", "", "a=b", "O'Brien", "'s-Hertogenbosch"])
def test_numbers_and_ordinary_text_stay_as_they_are(text: str) -> None:
    assert csv_cell(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("<>[]()!*_`~|\\&:/wj.#$ a", max_size=12))
def test_markdown_shows_a_text_and_makes_nothing_of_it(text: str) -> None:
    paragraph = ElementTree.fromstring(reader.markdown(f"x{foreign_text.markdown(text)}x"))
    assert [element.tag for element in paragraph.iter()] == ["p"]
    assert "".join(paragraph.itertext()).replace(r"\|", "|") == f"x{visible(text)}x"


def test_markdown_has_no_link_that_is_found_in_plain_text() -> None:
    for text in ("see https://evil.example", "www.evil.example", "me@evil.example"):
        assert not re.search(r"://|www\.|@", foreign_text.markdown(text))


@given(st.text("$\\{}a_^", max_size=10))
def test_a_figure_takes_no_text_for_mathematics(text: str) -> None:
    shown = foreign_text.figure(text)
    assert not is_math_text(shown)
    assert shown.replace(r"\$", "$") == text

"""CSV files give back what was written, and every one of ours is written by one module."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vec2uage
from vec2uage.base.csv_file import csv_text, read_csv, write_csv

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(["=1", "'=1", "-", "@x", "\t"])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_texts_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "texts.csv"
    write_csv(path, ["+name", "subject"], rows)
    assert read_csv(path) == [{"+name": name, "subject": subject} for name, subject in rows]


def test_numbers_are_no_texts() -> None:
    text = csv_text(["a", "b"], [[-1, None], ["-0.5", -0.5], ["=1", True]])
    assert text.splitlines() == ["a,b", "-1,", "-0.5,-0.5", "'=1,True"]


def test_a_damaged_row_has_what_is_left_of_it(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n1,2\n\n3\n")
    assert read_csv(tmp_path / "data.csv") == [{"a": "1", "b": "2"}, {"a": "3"}]


def test_other_modules_write_no_csv_themselves() -> None:
    source = Path(vec2uage.__file__).parent
    ours = {path for path in source.rglob("*.py") if re.search(r"^import csv$", path.read_text(), re.MULTILINE)}
    assert {path.relative_to(source).as_posix() for path in ours} == {"base/csv_file.py", "data/readers/csv_file.py"}
    assert "writer" not in (source / "data/readers/csv_file.py").read_text(), "it reads what others have written"

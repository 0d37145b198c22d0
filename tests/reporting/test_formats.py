"""Tables for people, for programs and for papers hold the same cells."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from vec2uage.base.foreign_text import csv_cell
from vec2uage.reporting.content import Column, Table, cell_text
from vec2uage.reporting.formats import comma_separated, latex, markdown
from vec2uage.statistics.bootstrap import Interval

TABLE = Table(
    "maes",
    "MAE of 100% & more",
    (Column("run_name"), Column("runs"), Column("test", 2), Column("p", 4)),
    (("a|b_1", 20, Interval(2.4812, 2.4, 2.5), 0.04), ("c", 3, None, float("nan"))),
    "Years.",
    frozenset({0}),
)


def test_people_see_rounded_numbers_intervals_and_dashes():
    text = markdown(TABLE)
    assert text.splitlines()[2:6] == [
        "| run_name | runs | test | p |",
        "| :-- | --: | --: | --: |",
        r"| **a\|b_1** | **20** | **2.48 [2.40, 2.50]** | **0.0400** |",
        "| c | 3 | \N{EN DASH} | \N{EN DASH} |",
    ]
    assert text.startswith("**MAE of 100% & more**")
    assert text.endswith("Years.\n")


def test_programs_get_full_precision_and_an_interval_as_three_columns():
    rows = list(csv.reader(io.StringIO(comma_separated(TABLE))))
    assert rows[0] == ["run_name", "runs", "test", "test low", "test high", "p"]
    assert rows[1] == ["a|b_1", "20", "2.4812", "2.4", "2.5", "0.04"]
    assert rows[2] == ["c", "3", "", "", "", ""]


def test_latex_is_a_booktabs_table_without_raw_special_characters():
    text = latex(TABLE)
    assert r"\begin{tabular}{lrrr}" in text
    assert r"\caption{MAE of 100\% \& more}" in text
    assert r"\textbf{a\textbar{}b\_1} & \textbf{20} & \textbf{2.48 [2.40, 2.50]} & \textbf{0.0400} \\" in text
    assert r"c & 3 & -- & -- \\" in text
    assert [line.strip() for line in text.splitlines() if "rule" in line] == [r"\toprule", r"\midrule", r"\bottomrule"]


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30))
def test_any_text_is_escaped_for_latex_and_read_back_from_csv(text):
    table = Table("t", "t", (Column("x"),), ((text,),))
    row = latex(table).splitlines()[8].strip().removesuffix(r"\\")
    assert row.replace(r"\textbackslash{}", "").count("\\") == sum(text.count(c) for c in "&%$#_{}~^<>|")
    assert list(csv.reader(io.StringIO(comma_separated(table))))[1:] == [[csv_cell(text)]]


def test_numbers_are_shown_with_the_digits_of_their_column():
    assert cell_text(1234.5678, Column("x", 1)) == "1,234.6"
    assert cell_text(0.0251, Column("lr")) == "0.0251"
    assert cell_text(7399, Column("seed")) == "7399"
    assert cell_text(float("inf"), Column("x", 1)) == "inf"

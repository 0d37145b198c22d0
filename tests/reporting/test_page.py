"""The page of a report: everything is on it, and nothing that was written into a folder becomes markup."""

import re

import pytest

from vec2uage.reporting.content import Column, Figure, Report, Section, Table
from vec2uage.reporting.figures.save import svg_text
from vec2uage.reporting.page import render
from vec2uage.statistics.bootstrap import Interval

EVIL = '<script>alert("x")</script>&'


@pytest.fixture
def figure() -> Figure:
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(3, 2))
    drawing.add_subplot().plot([1, 2, 3])
    return Figure("maes", f"MAE {EVIL}", drawing)


@pytest.fixture
def report(figure: Figure) -> Report:
    columns = (Column("run"), Column("test", 2))
    rows = ((EVIL, Interval(2.5, 2.4, 2.6)), ("b", None))
    first = Table("runs", f"Runs {EVIL}", columns, rows, note=EVIL, marked=frozenset({0}))
    second = Table("other", "Other", columns, rows)
    sections = (Section("One", (f"Text {EVIL}",), (first,), (figure,)), Section(EVIL, (), (second,)))
    return Report(f"Title {EVIL}", (f"Headline {EVIL}", "More."), (f"Warning {EVIL}",), sections)


@pytest.fixture
def page(report: Report, figure: Figure) -> str:
    return render(report, {"maes": svg_text(figure.drawing)}, f"Made {EVIL}")


def test_text_from_folders_stays_text(page: str) -> None:
    assert EVIL not in page
    assert page.count("<script>") == 1
    assert page.count("&lt;script&gt;alert(") >= 9


def test_tables_and_figures_are_numbered_through_the_page(page: str) -> None:
    assert re.findall(r"<b>(Table \d+|Figure \d+)\.</b>", page) == ["Table 1", "Figure 1", "Table 2"]
    assert '<td class=number data-value="2.5">2.50 [2.40, 2.60]</td>' in page
    assert '<td class=number data-value="">\N{EN DASH}</td>' in page
    assert page.count("<tr class=marked>") == 1


def test_every_link_within_the_page_has_its_target(page: str) -> None:
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets
    assert len(re.findall(r'id="([^"]+)"', page)) == len(targets)


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:image/svg\+xml;base64,)""", page)
    assert not re.search(r"@import|url\(", page)


def test_a_report_without_warnings_has_no_box_for_them(report: Report, figure: Figure) -> None:
    calm = Report(report.title, report.summary[:1], (), report.sections)
    assert "Beware" not in render(calm, {"maes": svg_text(figure.drawing)}, "now")

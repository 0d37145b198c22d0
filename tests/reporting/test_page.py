"""The page holds all of a report, escaped, and asks for nothing outside itself."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from matplotlib.figure import Figure as Drawing

from vec2uage.reporting.content import Column, Figure, Report, Section, Table
from vec2uage.reporting.page import render
from vec2uage.statistics.bootstrap import Interval

EVIL = """<script>alert("1")</script>'&"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><text>\N{GREEK SMALL LETTER MU}</text></svg>'
COLUMNS = (Column("run"), Column("seed"), Column("test", 2))


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text as it is read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, attribute: str) -> list[str | None]:
        """Return an attribute of all tags of a kind that have it."""
        return [attributes[attribute] for found, attributes in self.tags if found == tag and attribute in attributes]


def table(name: str, rows: int = 1, title: str = "A table") -> Table:
    return Table(name, title, COLUMNS, tuple((f"run_{k}", k, 2.0 + k) for k in range(rows)), f"Note of {name}.")


def figure(name: str, width: float = 3.0) -> Figure:
    return Figure(name, f"What {name} shows.", Drawing(figsize=(width, 2)))


def report(*sections: Section, warnings: tuple[str, ...] = ()) -> Report:
    return Report("Ages", ("The answer.", "A detail."), warnings, sections)


def page(given: Report) -> str:
    drawn = {drawing.name: SVG for section in given.sections for drawing in section.figures}
    return render(given, drawn, "Made today.")


TWO = report(
    Section("First", ("A paragraph.",), (table("one"), table("two")), (figure("one"),)),
    Section("Second", tables=(table("three"),), figures=(figure("two"), figure("three", 7.0))),
    warnings=("Few runs.",),
)


def test_everything_in_the_report_is_on_the_page() -> None:
    text = Page(page(TWO)).text
    notes = [f"Note of {name}." for name in ("one", "two", "three")]
    captions = [f"What {name} shows." for name in ("one", "two", "three")]
    others = ["Ages", "The answer.", "A detail.", "Few runs.", "First", "A paragraph.", "Second", "Made today."]
    for expected in (*others, *notes, *captions):
        assert expected in text


def test_tables_and_figures_are_numbered_through_the_whole_page() -> None:
    text = Page(page(TWO)).text
    assert re.findall(r"Table (\d)\.", text) == ["1", "2", "3"]
    assert re.findall(r"Figure (\d)\.", text) == ["1", "2", "3"]


def test_links_within_the_page_have_targets_and_ids_are_unique() -> None:
    tags = Page(page(TWO)).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    inner = [(attributes.get("href") or "")[1:] for tag, attributes in tags if tag == "a"]
    assert len(ids) == len(set(ids))
    assert {link for link in inner if not link.startswith("ata:")} <= set(ids)
    assert {"section-1", "section-2", "table-one", "figure-one"} <= set(ids)


def test_figures_can_be_seen_and_saved_and_keep_their_proportions() -> None:
    found = Page(page(TWO))
    link = "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()
    assert found.all("img", "src") == [link] * 3
    assert found.all("img", "alt")[:3] == ["What one shows.", "What two shows.", "What three shows."]
    assert found.all("a", "download") == ["one.svg", "two.svg", "three.svg"]
    assert found.all("figure", "style") == ["width: 24.0rem", "width: 24.0rem", "width: 56.0rem"]


def test_no_text_becomes_markup() -> None:
    places = ("title", "summary", "warning", "section", "paragraph", "table", "head", "cell", "note", "caption", "made")
    evil = {place: f"{EVIL} in {place}" for place in places}
    content = Table("t", evil["table"], (Column(evil["head"]),), ((evil["cell"],),), evil["note"])
    figures = (Figure("f", evil["caption"], Drawing()),)
    section = Section(evil["section"], (evil["paragraph"],), (content,), figures)
    given = Report(evil["title"], (evil["summary"],) * 2, (evil["warning"],), (section,))
    text = render(given, {"f": SVG}, evil["made"])
    assert text.count("<script") == 1
    assert all(each in Page(text).text for each in evil.values())


def test_nothing_is_loaded_from_anywhere() -> None:
    text = page(TWO)
    assert not re.search(r"https?://|@import|url\(|fetch\(", re.sub(r"base64,[\w+/=]+", "", text))
    found = Page(text)
    for tag in ("img", "script", "link", "iframe", "source"):
        for attribute in ("src", "href", "srcset"):
            assert all((value or "").startswith("data:") for value in found.all(tag, attribute))


def test_the_policy_allows_the_script_of_the_page_and_no_other() -> None:
    text = page(TWO)
    script = text.partition("<script>")[2].partition("</script>")[0]
    policy = Page(text).all("meta", "content")[0] or ""
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert f"script-src 'sha256-{allowed}';" in policy


def test_without_warnings_or_sections_there_is_no_trace_of_them() -> None:
    text = render(Report("Ages", ("The answer.",), (), ()), {}, "Made today.")
    assert "Beware" not in text
    assert not re.search(r"<(table|figure)|<ul>\s*<li>", text.partition("<body>")[2])


def test_cells_are_sorted_by_value_and_missing_ones_by_nothing() -> None:
    columns = (Column("run"), Column("test", 2), Column("p", 3), Column("none"))
    row = ("run_1", Interval(2.4812, 2.4, 2.5), float("inf"), None)
    missing = (None, float("nan"), -0.5, None)
    text = page(report(Section("s", tables=(Table("t", "T", columns, (row, missing)),))))
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = re.findall(r"<(?:th|td)([^>]*)>([^<]*)<", body)
    dash = "\N{EN DASH}"
    assert [shown for _, shown in cells] == ["run_1", "2.48 [2.40, 2.50]", "inf", dash, dash, dash, "-0.500", dash]
    values = [re.findall(r'data-value="(.*?)"', attributes) for attributes, _ in cells]
    assert values == [[], ["2.4812"], ["Infinity"], [""], [""], [""], ["-0.5"], [""]]
    numbers = ['class="number"' in attributes for attributes, _ in cells]
    assert numbers == [False, True, True, True] * 2


def test_marked_rows_stand_out() -> None:
    marked = Table("t", "T", COLUMNS, (("a", 1, 2.0), ("b", 2, 3.0)), marked=frozenset({1}))
    text = page(report(Section("s", tables=(marked,))))
    assert re.search(r'<tr class="marked">\s*<th scope="row">b<', text)
    assert text.count('class="marked"') == 1


def test_rows_of_few_faces_are_faint() -> None:
    few = Table("t", "T", COLUMNS, (("a", 1, 2.0), ("b", 2, 3.0)), faint=frozenset({0}))
    text = page(report(Section("s", tables=(few,))))
    assert re.search(r'<tr class="faint">\s*<th scope="row">a<', text)
    assert text.count('class="faint"') == 1


def test_tables_can_be_searched_and_scroll_as_they_grow() -> None:
    for rows, searched, long in ((12, 0, 0), (13, 1, 0), (30, 1, 0), (31, 1, 1)):
        text = page(report(Section("s", tables=(table("t", rows),))))
        assert text.count('<p class="search"') == searched
        assert text.count('class="scroll long"') == long
        assert len(re.findall(r'<th scope="row"', text)) == rows

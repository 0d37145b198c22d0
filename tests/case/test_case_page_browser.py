"""The page of a case in a real browser: its rows are sorted, filtered, searched and turned over, and stay text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_case import face, file, info, results

from browser import DESKTOP, PHONE, Tab, chromium, needs_chromium, opened_in
from vec2uage.case.page import write_page
from vec2uage.case.records import FileResult
from vec2uage.case.summary import summarise

FACES, ON_A_PAGE = 100, 25
EVIL = "</script><img src=x onerror=alert(1)>\u202e.jpg"

pytestmark = needs_chromium


def case(faces: int) -> list[FileResult]:
    """Files of one face each, in no order; every tenth doubtful; and some without a face."""
    generator = np.random.default_rng(0)
    ages = generator.uniform(1, 60, faces).tolist()
    doubts = [("blurred", "few pixels")[: k % 3] if k % 10 == 0 else () for k in range(faces)]
    files = [
        file(f"IMG_{k}.jpg", face(1, age, p_minor=1 - k / faces, flagged=k < 30, doubts=doubts[k]))
        for k, age in enumerate(ages)
    ]
    none = [file(f"none_{k}.jpg") for k in range(30)]
    return [*files, *none, file(EVIL, status="unreadable", reason="damaged")]


def write(path: Path, faces: int, **others: Any) -> Path:
    read = results(*case(faces))
    write_page(path, read, summarise(read), info(**others))
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("page") / "case.html", FACES)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


class Opened(Tab):
    """A tab with the page of a case."""

    def listing(self, name: str = "faces") -> Any:
        return self.page.locator(f"#listing-{name}")

    def count(self, name: str = "faces") -> str:
        """Return what is said of how many rows are shown."""
        told: str = self.listing(name).locator("[aria-live]").text_content()
        return told

    def column(self, head: str, name: str = "faces") -> list[str]:
        """Return the texts of a column of the rows that are shown."""
        texts: list[str] = self.listing(name).evaluate(
            """(listing, head) => {
                const column = [...listing.querySelectorAll("thead th")].findIndex((cell) => cell.textContent === head);
                return [...listing.querySelectorAll("tbody tr")].map((row) => row.cells[column].textContent);
            }""",
            head,
        )
        return texts

    def sort(self, head: str) -> str:
        """Click on a head, and return how the table is sorted by it then."""
        button = self.listing().get_by_role("button", name=head, exact=True)
        button.click()
        state: str = button.locator("..").get_attribute("aria-sort")
        return state

    def turn(self, button: str) -> None:
        self.listing().get_by_role("button", name=button, exact=True).click()


@pytest.fixture(scope="module")
def tab(browser: Any) -> Opened:
    return Opened(browser.new_page())


@pytest.fixture
def opened(tab: Opened, page: Path) -> Iterator[Opened]:
    with opened_in(tab, page):
        yield tab


def test_likeliest_minors_come_first_and_pages_are_turned(opened: Opened) -> None:
    assert opened.column("file") == [f"IMG_{k}.jpg" for k in range(ON_A_PAGE)]
    assert opened.column("P(age < 18)")[:2] == [">0.999", "0.990"]
    assert opened.count() == "1 to 25 of 100"
    assert opened.listing().get_by_role("button", name="Previous").is_disabled()
    opened.turn("Next")
    assert opened.column("file")[0] == f"IMG_{ON_A_PAGE}.jpg"
    opened.turn("Last")
    assert opened.count() == "76 to 100 of 100"
    assert opened.column("file")[-1] == f"IMG_{FACES - 1}.jpg"
    assert opened.listing().get_by_role("button", name="Next").is_disabled()
    opened.turn("Previous")
    assert opened.count() == "51 to 75 of 100"
    opened.turn("First")
    assert opened.count() == "1 to 25 of 100"


def test_a_click_sorts_all_rows_up_then_down_then_not(opened: Opened) -> None:
    ages = sorted(round(result.faces[0].age, 6) for result in case(FACES) if result.faces)
    for state, expected in (("ascending", ages), ("descending", ages[::-1])):
        assert opened.sort("age") == state
        assert opened.column("age") == [f"{age:.1f}" for age in expected[:ON_A_PAGE]]
    assert opened.sort("age") == "none"
    assert opened.column("file")[:3] == ["IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg"]
    opened.sort("file")
    opened.sort("file")
    assert opened.column("file")[:2] == ["IMG_99.jpg", "IMG_98.jpg"]


def test_rows_are_asked_for_by_number_by_text_and_by_words(opened: Opened) -> None:
    listing = opened.listing()
    listing.get_by_label("P(age < 18) at least").fill("0.9")
    assert opened.count() == "1 to 11 of 11, out of 100"
    listing.get_by_label("age at most").fill("30")
    assert all(float(age) <= 30 for age in opened.column("age"))
    listing.get_by_label("age at most").fill("")
    listing.get_by_label("P(age < 18) at least").fill("")
    listing.get_by_label("flag").select_option("not flagged")
    assert opened.count().endswith("70, out of 100")
    listing.get_by_label("flag").select_option("all")
    listing.get_by_label("reliability").select_option("few pixels")
    assert set(opened.column("reliability")) == {"blurred; few pixels"}
    listing.get_by_label("reliability").select_option("all")
    listing.get_by_label("Search").fill("img_1 JPG")
    assert opened.column("file") == [f"IMG_{k}.jpg" for k in (1, *range(10, 20))]
    opened.sort("P(age < 18)")
    assert opened.column("file")[0] == "IMG_19.jpg"
    listing.get_by_label("Search").fill("nobody")
    assert opened.count() == "0, out of 100"
    listing.get_by_label("Search").fill("")
    assert opened.count() == "1 to 25 of 100"


def test_files_without_an_age_are_listed_by_what_became_of_them(opened: Opened) -> None:
    assert opened.column("file", "files")[0] == EVIL.replace("\u202e", "\\u202e")  # and no script has run
    opened.listing("files").get_by_label("status").select_option("no_face")
    assert opened.count("files") == "1 to 25 of 30, out of 31"
    assert set(opened.column("status", "files")) == {"no_face"}


def test_what_nobody_knows_has_no_column(tab: Opened, tmp_path: Path) -> None:
    points = results(file("a.jpg", face(p_minor=None, flagged=None), hashes=None))
    write_page(tmp_path / "case.html", points, summarise(points), info())
    with opened_in(tab, tmp_path / "case.html"):
        heads = tab.listing().locator("thead th").all_text_contents()
    assert "age" in heads
    assert {"P(age < 18)", "flag", "MD5"}.isdisjoint(heads)


def test_a_phone_scrolls_tables_and_not_the_page(opened: Opened) -> None:
    opened.page.set_viewport_size(PHONE)
    needed, room = opened.page.locator("html").evaluate("(page) => [page.scrollWidth, page.clientWidth]")
    assert needed <= room == PHONE["width"]


def test_a_phone_shows_ages_beside_long_names(tab: Opened, tmp_path: Path) -> None:
    long = results(file("photographs/" * 6 + "1.jpg", face()))
    write_page(tmp_path / "case.html", long, summarise(long), info())
    with opened_in(tab, tmp_path / "case.html"):
        tab.page.set_viewport_size(PHONE)
        box = tab.listing().get_by_role("button", name="age", exact=True).bounding_box()
    assert box["x"] + box["width"] <= PHONE["width"]


def test_the_dark_has_no_light_controls_and_paper_none(opened: Opened) -> None:
    opened.page.emulate_media(color_scheme="dark")
    for control in (".asked input", ".asked select", ".turned button"):
        assert max(int(part) for part in opened.style(control, "backgroundColor")[4:-1].split(",")) < 40
    opened.page.emulate_media(media="print")
    assert not opened.page.locator(".asked:visible, .turned button:visible").count()
    assert opened.column("file")


def test_without_scripts_it_says_where_the_rows_are(browser: Any, page: Path) -> None:
    context = browser.new_context(viewport=DESKTOP, java_script_enabled=False)
    shown = context.new_page()
    shown.goto(page.as_uri())
    assert "JavaScript" in shown.locator("noscript:visible").first.inner_text()
    assert shown.locator("#table-statuses tbody tr").count() == 4
    context.close()


@pytest.mark.slow
def test_a_hundred_thousand_rows_open_and_are_turned_to_the_last(tab: Opened, page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    start = text.index('"rows": [') + len('"rows": [')
    rows = text[start : text.index("]}</script>", start)]
    many = ",".join(rows.replace("IMG_", f"IMG_{copy}_") for copy in range(100_000 // FACES))
    (tmp_path / "case.html").write_text(text.replace(rows, many), encoding="utf-8")
    with opened_in(tab, tmp_path / "case.html"):
        assert tab.count() == "1 to 25 of 100,000"
        tab.turn("Last")
        assert tab.column("file")[-1] == "IMG_999_99.jpg"
        assert tab.sort("age") == "ascending"
        tab.listing().get_by_label("Search").fill("IMG_42_42.jpg")
        assert tab.column("file") == ["IMG_42_42.jpg"]

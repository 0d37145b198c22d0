"""The page of a report in a real browser: sorting, searching, links, themes, phones and print."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vec2uage.reporting.content import Column, Figure, Report, Section, Table
from vec2uage.reporting.figures.save import svg_text
from vec2uage.reporting.page import render
from vec2uage.statistics.bootstrap import Interval

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
ROWS = 40


def report() -> Report:
    from matplotlib.figure import Figure as Drawing

    generator = np.random.default_rng(0)
    maes = generator.normal(2.5, 0.1, ROWS).tolist()
    rows = tuple(
        (f"run_{k}", "sgd" if k % 2 else "swa", Interval(mae, mae - 0.1, mae + 0.1) if k != 3 else None, k % 7)
        for k, mae in enumerate(maes)
    )
    columns = (Column("run"), Column("optimizer"), Column("test MAE", 3), Column("epochs"))
    drawing = Drawing(figsize=(7, 2))
    drawing.add_subplot().plot(maes)
    wide = Table("wide", "Wide", tuple(Column(f"column {k}", 3) for k in range(25)), ((1.0,) * 25,))
    return Report(
        "A report",
        ("sgd is best.", "More."),
        ("Beware of this.",),
        (
            Section("Runs", ("Text.",), (Table("runs", "Every run", columns, rows, "Years."), wide)),
            Section("Figures", (), (), (Figure("curve", "A curve", drawing),)),
        ),
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    made = report()
    svg = {figure.name: svg_text(figure.drawing) for section in made.sections for figure in section.figures}
    path.write_text(render(made, svg, "now"), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The page, which must log nothing and ask for nothing but itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened, said, asked = context.new_page(), [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}


def column(page: Any, number: int) -> list[str]:
    shown = page.locator("#table-runs tbody tr").evaluate_all(
        "(rows, n) => rows.filter(r => r.offsetParent).map(r => r.cells[n].textContent)", number
    )
    return [str(text) for text in shown]


def test_a_click_sorts_numbers_by_value_and_what_is_missing_last(page: Any) -> None:
    first, head = column(page, 2), page.get_by_role("button", name="test MAE")
    head.click()
    up = column(page, 2)
    assert up[-1] == "\N{EN DASH}"
    assert [float(text.split()[0]) for text in up[:-1]] == sorted(float(text.split()[0]) for text in up[:-1])
    assert page.locator("th[aria-sort=ascending]").inner_text().strip() == "test MAE"
    head.click()
    assert column(page, 2) == [*reversed(up[:-1]), "\N{EN DASH}"]
    head.click()
    assert column(page, 2) == first
    assert page.locator("th[aria-sort]").count() == 0


def test_the_keyboard_sorts_text_as_people_count(page: Any) -> None:
    page.get_by_role("button", name="epochs").focus()
    page.keyboard.press("Enter")
    assert column(page, 3) == sorted(column(page, 3))
    page.get_by_role("button", name="run", exact=True).focus()
    page.keyboard.press("Space")
    assert column(page, 0) == [f"run_{k}" for k in range(ROWS)]
    assert page.locator("th[aria-sort]").count() == 1


def test_rows_are_found_by_their_words(page: Any) -> None:
    page.get_by_label("Show rows with").fill("sgd run_1")
    assert column(page, 0) == ["run_1", "run_11", "run_13", "run_15", "run_17", "run_19"]
    assert page.get_by_text(f"6 of {ROWS} rows").is_visible()
    page.get_by_label("Show rows with").fill("")
    assert len(column(page, 0)) == ROWS


def test_contents_lead_to_their_sections(page: Any) -> None:
    page.locator("nav").get_by_role("link", name="Figures").click()
    assert page.url.endswith("#section-2")
    assert page.locator("#section-2 h2").bounding_box()["y"] < 900


def test_a_figure_opens_and_closes_by_keyboard(page: Any) -> None:
    link = page.locator(".zoom")
    link.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog").get_by_role("img", name="A curve").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert link.evaluate("link => link === document.activeElement")
    link.click()
    page.get_by_role("button", name="Close").click()
    assert not page.locator("dialog").is_visible()


def test_the_theme_follows_the_system_until_it_is_chosen(page: Any) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = background()
    page.get_by_role("button", name="Dark").click()
    assert background() != light
    page.get_by_role("button", name="Light").click()
    assert background() == light
    page.emulate_media(color_scheme="dark")
    assert background() == light, "the choice stands"
    page.reload()
    assert background() != light


def test_a_phone_scrolls_tables_and_not_the_page(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = page.locator("#table-wide .scroll")
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth")


def test_paper_shows_all_rows_and_no_controls(page: Any) -> None:
    page.get_by_label("Show rows with").fill("nothing has this")
    assert column(page, 0) == []
    page.emulate_media(media="print")
    assert len(column(page, 0)) == ROWS
    assert not page.locator("nav").is_visible()
    assert not page.locator("#theme").is_visible()
    assert page.locator("#table-runs .scroll").evaluate("box => box.scrollHeight <= box.clientHeight + 1")
    assert page.locator("th").first.inner_text().strip() == "run"


def test_it_can_be_read_without_a_script(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(file.as_uri())
    assert opened.get_by_text("sgd is best.").is_visible()
    assert opened.locator("#table-runs tbody tr").count() == ROWS
    assert not opened.locator("#theme").is_visible()
    assert not opened.locator(".search").is_visible()
    context.close()

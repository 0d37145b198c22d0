"""The page in a real browser: sorting, filtering, figures, themes, phones and paper."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing

from browser import DESKTOP, PHONE, Tab, chromium, needs_chromium, opened_in
from vec2uage.reporting.content import Cell, Column, Figure, Report, Section, Table
from vec2uage.reporting.page import render
from vec2uage.statistics.bootstrap import Interval

RUNS = 80
COMMAND = "python -m vec2uage.train -m 'model.hidden=[256,64]' " + "optimizer.lr=0.0123456789 " * 12
OPTIMISERS = ("adagrad", "adam", "sgd", "swa")

pytestmark = needs_chromium


def runs() -> Table:
    """Every run: some that did not end, one of a hostile name, long text, no order in the numbers."""
    generator = np.random.default_rng(1)
    rows: list[tuple[Cell, ...]] = []
    for k in range(RUNS):
        mae = float(generator.normal(2.5, 0.1))
        name = "run_3<script>alert(1)</script>" if k == 3 else f"run_{k}"
        ended = k % 11 != 5
        rows.append(
            (
                name,
                OPTIMISERS[k % 4],
                int(generator.integers(1, 10_000)),
                Interval(mae, mae - 0.05, mae + 0.05) if ended else None,
                float("nan") if k % 7 == 2 else 10.0 ** -(k % 5),
                None if ended else "diverged: the loss was not finite at epoch 12; lower the learning rate or clip",
            )
        )
    columns = (
        Column("run"),
        Column("optimiser"),
        Column("seed"),
        Column("test MAE", 3),
        Column("lr"),
        Column("reason it did not end"),
    )
    return Table("runs", "Every run", columns, tuple(rows), "MAE in years; the best is marked.", frozenset({7}))


def summary() -> Table:
    """A table too wide for a phone."""
    heads = [Column(f"{part} {figure}", 3) for part in ("training", "validation", "test") for figure in ("mean", "std")]
    rows: list[tuple[Cell, ...]] = [
        (name, *(2.0 + k / 10 + c / 100 for c in range(len(heads)))) for k, name in enumerate(OPTIMISERS)
    ]
    return Table("summary", "MAE of each optimiser", (Column("optimiser"), *heads), tuple(rows), marked=frozenset({2}))


def drawing(width: float) -> Drawing:
    drawn = Drawing(figsize=(width, 2.4))
    axes = drawn.subplots()
    axes.plot(np.arange(20), np.exp(-np.arange(20) / 5))
    axes.set_xlabel("epoch")
    axes.set_ylabel("MAE (years)")
    return drawn


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a realistic report."""
    figures = tuple(
        Figure(name, f"What {name} shows, in a sentence or two.", drawing(width))
        for name, width in (("wide", 7.0), ("left", 3.35), ("right", 3.35))
    )
    report = Report(
        "Underage age estimation: d1",
        ("SWA is best: 2.48 years [2.46, 2.50] over 20 runs.", "Luck alone moves a run by 0.1 years.", "80 runs."),
        ("Few runs of sgd ended.",),
        (
            Section("Results", ("Validation chooses run_7.",) * 3, (summary(),), figures),
            Section("Every run", tables=(runs(),)),
            Section("Where the numbers come from", ("A very_long_name_" + "without_a_break_" * 12,), command=COMMAND),
        ),
    )
    svg = {}
    for figure in figures:
        figure.drawing.savefig(stream := StringIO(), format="svg")
        svg[figure.name] = stream.getvalue()
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(report, svg, "Made on 2026-01-01 00:00 UTC by vec2uage."), encoding="utf-8")
    return path


class Opened(Tab):
    """A tab with the page of a report."""

    def column(self, head: str, table: str = "runs") -> list[str]:
        """Return the texts of a column from top to bottom."""
        texts: list[str] = self.page.locator(f"#table-{table} table").evaluate(
            """(table, head) => {
                const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === head);
                return [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
            }""",
            head,
        )
        return texts

    def head(self, name: str) -> Any:
        """Return the button by which the table of runs is sorted."""
        return self.page.locator("#table-runs").get_by_role("button", name=name, exact=True)

    def sort_state(self, name: str) -> str:
        state: str = self.head(name).locator("..").get_attribute("aria-sort")
        return state


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def tab(browser: Any) -> Opened:
    return Opened(browser.new_page())


@pytest.fixture
def opened(tab: Opened, file: Path) -> Iterator[Opened]:
    with opened_in(tab, file):
        yield tab


def present(texts: list[str]) -> list[str]:
    """Check that what does not exist comes last, and return the rest."""
    dash = "\N{EN DASH}"
    there = [text for text in texts if text != dash]
    assert texts == there + [dash] * texts.count(dash)
    return there


def test_a_click_sorts_numbers_up_then_down_then_not(opened: Opened) -> None:
    before = opened.column("run")
    for state, sign in (("ascending", 1), ("descending", -1)):
        opened.head("test MAE").click()
        maes = [float(text.split(" ")[0]) for text in present(opened.column("test MAE"))]
        assert opened.sort_state("test MAE") == state
        assert maes == sorted(maes, key=lambda mae: sign * mae)
        assert len(maes) < RUNS
    opened.head("test MAE").click()
    assert opened.sort_state("test MAE") == "none"
    assert opened.column("run") == before


def test_small_numbers_and_text_are_sorted_as_people_would(opened: Opened) -> None:
    opened.head("lr").click()
    rates = [float(text) for text in present(opened.column("lr"))]
    assert rates == sorted(rates)
    opened.head("reason it did not end").click()
    present(opened.column("reason it did not end"))
    assert opened.sort_state("lr") == "none"
    opened.head("run").click()
    opened.head("run").click()
    assert opened.column("run")[:2] == ["run_79", "run_78"]
    assert opened.column("run")[-4:] == ["run_3<script>alert(1)</script>", "run_2", "run_1", "run_0"]


def test_the_keyboard_sorts_as_a_click_does(opened: Opened) -> None:
    opened.head("run").focus()
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Enter")
    assert opened.sort_state("seed") == "ascending"
    opened.page.keyboard.press("Space")
    assert opened.sort_state("seed") == "descending"
    seeds = [int(text) for text in opened.column("seed")]
    assert seeds == sorted(seeds, reverse=True)
    assert opened.style("#table-runs :focus-visible", "outlineStyle") == "solid"


def test_a_filter_shows_the_rows_with_all_its_words_and_counts_them(opened: Opened) -> None:
    table, count = opened.page.locator("#table-runs"), opened.page.locator("#table-runs [aria-live]")
    assert count.text_content() == f"{RUNS} of {RUNS} rows"
    table.get_by_label("Filter rows").fill("ADAM run_1")
    visible = table.locator("tbody tr:visible th").all_text_contents()
    assert visible == ["run_1", "run_13", "run_17"]
    assert count.text_content() == f"3 of {RUNS} rows"
    opened.head("run").click()
    opened.head("run").click()
    assert table.locator("tbody tr:visible th").all_text_contents() == visible[::-1]
    table.get_by_label("Filter rows").fill("")
    assert table.locator("tbody tr:visible").count() == RUNS
    assert opened.page.locator("#table-summary").get_by_label("Filter rows").count() == 0


def test_the_contents_lead_to_every_section(opened: Opened) -> None:
    links = opened.page.locator("nav a")
    assert links.all_text_contents() == ["Results", "Every run", "Where the numbers come from"]
    for k in range(links.count()):
        links.nth(k).click()
        target = opened.page.locator(":target")
        assert target.locator("h2").text_content() == links.nth(k).text_content()
        assert target.locator("h2").evaluate("(title) => title.getBoundingClientRect().top") < DESKTOP["height"]


@pytest.mark.parametrize("by_keyboard", [False, True])
def test_a_figure_opens_large_and_closing_it_leads_back(opened: Opened, by_keyboard: bool) -> None:
    small = opened.page.get_by_role("button", name="Enlarge Figure 2")
    dialog = opened.page.get_by_role("dialog", name="Figure 2")
    small.press("Enter") if by_keyboard else small.click()
    assert dialog.is_visible()
    large = dialog.locator("img")
    assert large.get_attribute("alt") == small.locator("img").get_attribute("alt")
    assert large.bounding_box()["width"] > 2 * small.bounding_box()["width"]
    if by_keyboard:
        opened.page.keyboard.press("Escape")
    else:
        opened.page.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    assert small.evaluate("(button) => button === document.activeElement")


def test_a_figure_is_saved_as_its_drawing(opened: Opened, tmp_path: Path) -> None:
    with opened.page.expect_download() as saved:
        opened.page.get_by_role("link", name="Save as SVG, figure 3").click()
    assert saved.value.suggested_filename == "right.svg"
    saved.value.save_as(tmp_path / "right.svg")
    assert "<svg" in (tmp_path / "right.svg").read_text()


def test_a_click_on_a_command_selects_all_of_it(opened: Opened) -> None:
    opened.page.locator(".command").click()
    assert opened.page.evaluate("getSelection().toString()").strip() == COMMAND.strip()


def test_the_theme_follows_the_system_until_it_is_chosen(opened: Opened) -> None:
    light = opened.style("body", "backgroundColor")
    opened.page.emulate_media(color_scheme="dark")
    opened.page.get_by_role("button", name="Light theme").wait_for()
    dark = opened.style("body", "backgroundColor")
    assert light == "rgb(255, 255, 255)"
    assert max(int(part) for part in dark[4:-1].split(",")) < 40
    assert opened.style("figure img", "backgroundColor") == light
    opened.page.get_by_role("button", name="Light theme").click()
    assert opened.style("body", "backgroundColor") == light
    opened.page.get_by_role("button", name="Dark theme").click()
    opened.page.emulate_media(color_scheme="light")
    assert opened.style("body", "backgroundColor") == dark


def test_a_phone_scrolls_tables_and_not_the_page(opened: Opened) -> None:
    opened.page.set_viewport_size(PHONE)
    widths = "(element) => [element.scrollWidth, element.clientWidth]"
    needed, room = opened.page.locator("html").evaluate(widths)
    assert needed <= room == PHONE["width"]
    for table in opened.page.get_by_role("region", name="Table").all():
        needed, room = table.evaluate(widths)
        assert needed > room


def test_paper_gets_all_rows_in_light_colours_and_nothing_to_press(opened: Opened) -> None:
    opened.page.get_by_role("button", name="Dark theme").click()
    opened.page.get_by_label("Filter rows").fill("adam")
    box = opened.page.locator("#table-runs .scroll")
    assert box.evaluate("(box) => box.scrollHeight > box.clientHeight")
    opened.page.emulate_media(media="print")
    assert opened.style("body", "backgroundColor") == "rgb(255, 255, 255)"
    assert box.evaluate("(box) => box.scrollHeight <= box.clientHeight + 1")
    assert opened.page.locator("#table-runs tbody tr:visible").count() == RUNS
    assert opened.page.locator("#table-runs thead th").first.inner_text() == "run"
    for hidden in ("nav", "#theme", ".search", "figcaption a"):
        assert not opened.page.locator(hidden).first.is_visible()
    assert opened.page.locator("figure img").first.is_visible()


def test_without_scripts_all_is_there_to_read_and_to_save(browser: Any, file: Path) -> None:
    context = browser.new_context(viewport=DESKTOP, java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("#table-runs tbody tr:visible").count() == RUNS
    assert page.locator("figure img:visible").count() == page.locator("figcaption a:visible").count() == 3
    assert page.locator("button:visible, input:visible").count() == 0
    context.close()

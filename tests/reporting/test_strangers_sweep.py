"""A sweep of others, whose options and sources are named to do harm, gives a report that only shows the names."""

import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.report_settings import ReportSettings
from vec2uage.reporting.run import write
from vec2uage.runs.folder import RunFolder

NASTY = "$\\frac{$<img/src=x/onerror=alert(1)>[x](javascript:alert(1))|`a`\x1b[31m\u202e\x00"
NASTY_VALUE = "$\\frac{$<img>[x](javascript:1)|\x1b"  # of an option: names as long as the other are numbered


@pytest.fixture
def sweep(write_sweep: Callable[..., Path]) -> Path:
    folder = write_sweep("d1", {f"sgd note={NASTY_VALUE}": [(2.5, 2.6)] * 2, "sgd note=1": [(2.6, 2.7)] * 2})
    counts = [("train", "photographed", f"=1{NASTY}", gender, 5, 9) for gender in ("female", "")]
    describe_data(folder, counts)
    return folder


def describe_data(sweep: Path, counts: Sequence[tuple[str, str, str, str, int, int]]) -> None:
    """Let the first run of a sweep have been trained on these."""
    run = RunFolder(min(sweep.iterdir()))
    run.write_data(counts)
    run.write_result(run.read_result())


def report_on(folder: Path, out: Path) -> None:
    settings = ReportSettings(sweep=(str(folder),), by=None, formats=("svg",), resamples=100, seed=0, tensorboard=True)
    write(settings, out)


def test_its_names_are_shown_and_do_nothing(sweep: Path, tmp_path: Path) -> None:
    report_on(sweep, tmp_path / "out")
    for path in (tmp_path / "out/tables").glob("*.md"):
        text = path.read_text()
        assert not re.search(r"<img|[^\\]\]\(", text)
        assert text.replace("\n", "").isprintable()
    rows = read_csv(tmp_path / "out/tables/estimates.csv")
    assert {row["variant"] for row in rows} == {f"sgd note={NASTY_VALUE}", "sgd note=1"}

    tags: list[str] = []
    page = HTMLParser()
    page.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    text = (tmp_path / "out/index.html").read_text()
    page.feed(text)
    figures = list((tmp_path / "out/figures").glob("*.svg"))
    assert tags.count("img") == len(figures) + 1  # and that of the enlarged one
    assert text.replace("\n", "").isprintable()

    drawn = "".join("".join(ElementTree.parse(path).getroot().itertext()) for path in figures)
    assert visible(NASTY_VALUE)[:20] in re.sub(r"\s", "", drawn)
    assert "=1$\\frac{$" in drawn
    written = [path for path in tmp_path.rglob("*") if path.is_relative_to(tmp_path / "out") or "tfevents" in path.name]
    assert not [path for path in written if path.stat().st_mode & 0o077]


@pytest.mark.parametrize("name", ["tables", "figures"])
def test_nothing_is_written_or_deleted_through_a_link(name: str, sweep: Path, tmp_path: Path) -> None:
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    out.mkdir()
    (mine / "precious").touch()
    (out / name).symlink_to(mine)
    (out / "files.txt").write_text(f"{name}/precious\n")
    with pytest.raises(UserError, match=f"{name}: is a link"):
        report_on(sweep, out)
    assert [path.name for path in mine.iterdir()] == ["precious"]


def test_counts_of_what_is_no_gender_are_not_read(sweep: Path) -> None:
    assert read_sweep(sweep).row_counts
    describe_data(sweep, [("train", "photographed", "album", "<b>", 5, 9)])
    assert not read_sweep(sweep).row_counts

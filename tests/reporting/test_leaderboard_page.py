"""The report on a leaderboard, from its one file."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from test_page import Page

from vec2uage.base.errors import UserError
from vec2uage.reporting.report_settings import ReportSettings
from vec2uage.reporting.run import write
from vec2uage.runs.leaderboard import Chosen, Cost, Entry, Leaderboard, write_leaderboard

EVIL = "<b>&'"


def entry(name: str, errors: tuple[float, ...], has_spread: bool) -> Entry:
    chosen = {
        str(split): Chosen(
            split % 2, error, {"test/mae": error + 0.1, "test/crps": error}, {"1-5": error}, 3.0, (name,)
        )
        for split, error in enumerate(errors)
    }
    missing = {str(split): EVIL for split in range(len(errors), 4)}
    drawn = ({}, {"model.alpha": EVIL})
    return Entry(name, {"model": name}, {}, drawn, has_spread, Cost(0.25, 3_000_000), chosen, missing)


def settings(*folders: Path) -> ReportSettings:
    paths = tuple(map(str, folders))
    return ReportSettings(sweep=paths, by=None, formats=("svg",), resamples=100, seed=0, tensorboard=False)


def test_the_page_has_all_entries_their_differences_and_what_was_chosen(tmp_path: Path) -> None:
    entries = (entry("swa", (2.0, 2.1, 2.2, 2.0), False), entry("forest", (1.9, 1.8, 2.1), True))
    board = Leaderboard(f"python {EVIL}", "swa", ("0", "1", "2", "3"), 900, 100, entries)
    write_leaderboard(board, tmp_path)
    report = write(settings(tmp_path), tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.text.count("forest") > 4
    assert "forest 3, swa 1" in report.summary[0]
    assert EVIL in page.text
    assert EVIL not in html, "it is text, and no tag"
    assert any(EVIL in warning for warning in report.warnings), "which splits an entry lacks"
    with (tmp_path / "report/tables/leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["entry"], row["splits"], row["predicts"]) for row in rows] == [
        ("forest", "3", "distribution"),
        ("swa", "4", "points"),
    ]
    assert (tmp_path / "report/figures/leaderboard.svg").is_file()
    again = (tmp_path / "report/index.html").read_bytes()
    write(settings(tmp_path), tmp_path / "report")
    assert (tmp_path / "report/index.html").read_bytes() == again


def test_a_leaderboard_is_reported_on_alone(tmp_path: Path) -> None:
    board = Leaderboard("line", "swa", ("0",), 900, 100, (entry("swa", (2.0,), False),))
    write_leaderboard(board, tmp_path)
    with pytest.raises(UserError, match="alone"):
        write(settings(tmp_path, tmp_path / "other"), tmp_path / "report")
    with pytest.raises(UserError, match="by=optimizer"):
        write(replace(settings(tmp_path), by=("optimizer",)), tmp_path / "report")


def test_a_leaderboard_without_results_is_refused(tmp_path: Path) -> None:
    board = Leaderboard("line", "swa", ("0",), 1, 1, (entry("swa", (), False),))
    write_leaderboard(board, tmp_path)
    with pytest.raises(UserError, match=r"without results.*swa"):
        write(settings(tmp_path), tmp_path / "report")

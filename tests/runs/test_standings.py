"""What a leaderboard says, from numbers small enough to work out by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vec2uage.base.errors import UserError
from vec2uage.runs.leaderboard import Chosen, Cost, Entry, Leaderboard, read_leaderboard, write_leaderboard
from vec2uage.runs.standings import Standings
from vec2uage.runs.standings_text import conclusions


def entry(
    name: str, validation: Sequence[float | None], test: Sequence[float], trials: Sequence[int] = (0, 0, 0)
) -> Entry:
    """An entry with these errors in as many splits; None: no result in that split."""
    chosen = {
        str(split): Chosen(
            trial=trial,
            validation=of_validation,
            scores={"test/mae": of_test, "test/crps": of_test / 2},
            bands={"1-5": of_test},
            seconds=1.0 + split,
            runs=(f"{name}{split}",),
        )
        for split, (of_validation, of_test, trial) in enumerate(zip(validation, test, trials, strict=True))
        if of_validation is not None
    }
    missing = {str(split): "diverged" for split, value in enumerate(validation) if value is None}
    drawn = ({}, {"model.alpha": "3"})
    return Entry(
        name, {"model": name}, {"model.alpha": "log(1,9)"}, drawn, False, Cost(0.1, 2_000_000), chosen, missing
    )


SWA = entry("swa", [2.0, 2.0, 2.0], [2.0, 2.2, 2.1])
RIDGE = entry("ridge", [1.9, 2.1, 2.2], [1.9, 2.3, 2.3], [1, 1, 0])
STACK = entry("stack", [1.8, 1.8, 2.1], [1.7, 2.0, 1.7])


def board(*entries: Entry) -> Leaderboard:
    return Leaderboard("python -m vec2uage.train", "swa", ("0", "1", "2"), 1000, 100, entries)


def test_entries_stand_by_their_mean_test_error_with_corrected_intervals() -> None:
    rows = Standings(board(SWA, RIDGE, STACK)).rows
    assert [row.entry.name for row in rows] == ["stack", "swa", "ridge"]
    error = np.sqrt((1 / 3 + 0.1) * np.var([1.7, 2.0, 1.7], ddof=1))
    half = stats.t.ppf(0.975, 2) * error
    assert (rows[0].mae.low, rows[0].mae.high) == pytest.approx((1.8 - half, 1.8 + half))
    assert rows[0].crps.estimate == pytest.approx(0.9)
    assert (rows[0].seconds, dict(rows[0].bands)) == (2.0, pytest.approx({"1-5": 1.8}))


def test_differences_are_paired_and_corrected_for_their_number() -> None:
    standings = Standings(board(SWA, RIDGE, STACK))
    change = np.array([-0.3, -0.2, -0.4])
    p = 2 * stats.t.sf(0.3 / np.sqrt((1 / 3 + 0.1) * np.var(change, ddof=1)), 2)
    found = standings.standing("stack").difference
    assert found is not None
    assert found.interval.estimate == pytest.approx(-0.3)
    assert found.p == pytest.approx(2 * p), "the smaller of two"
    assert standings.standing("swa").difference is None
    assert standings.first == "stack"
    assert standings.standing("stack").from_first is None


def test_the_headline_is_what_validation_chooses_in_each_split() -> None:
    """Of the last split the reference has the lowest validation error, though not the lowest test error."""
    headline = Standings(board(SWA, RIDGE, STACK)).headline
    assert headline.times == {"stack": 2, "swa": 1}
    assert headline.mae.estimate == pytest.approx(np.mean([1.7, 2.0, 2.1]))
    assert headline.difference is not None
    assert headline.difference.interval.estimate == pytest.approx(np.mean([-0.3, -0.2, 0.0]))
    said = conclusions(Standings(board(SWA, RIDGE, STACK)))
    assert "1.933" in said[0]
    assert "0.167 below swa" in said[0]
    assert "stack 2, swa 1" in said[0]


def test_an_entry_without_some_splits_is_compared_on_the_others_and_is_never_first() -> None:
    partial = entry("partial", [1.0, None, 1.0], [1.0, 9.0, 1.2])
    standings = Standings(board(SWA, STACK, partial))
    found = standings.standing("partial")
    assert found.mae.estimate == pytest.approx(1.1)
    assert found.difference is not None
    assert found.difference.interval.estimate == pytest.approx(-0.95)
    assert standings.first == "stack"
    assert "split (3)" in conclusions(standings)[0]
    of_two = conclusions(Standings(board(partial, entry("other", [2.0, None, 2.0], [2.0, 0, 2.0]))))
    assert "split (2)" in of_two[0], "the splits that any entry has"
    assert any("partial" in text and "diverged" in text for text in conclusions(standings))


def test_one_split_gives_no_interval_and_no_test() -> None:
    one = [entry(name, [2.0, None, None], [value, 0, 0]) for name, value in (("swa", 2.0), ("ridge", 2.1))]
    standings = Standings(Leaderboard("line", "swa", ("0",), 1000, 100, tuple(one)))
    assert np.isnan([standings.headline.mae.low, standings.rows[1].difference.p]).all()  # type: ignore[union-attr]
    assert not any("nan" in text for text in conclusions(standings))


def test_the_file_is_read_as_it_was_written_and_a_damaged_one_refused(tmp_path: Path) -> None:
    whole = board(SWA, RIDGE, STACK)
    write_leaderboard(whole, tmp_path)
    assert read_leaderboard(tmp_path) == whole
    for damaged in (
        b"{}",
        b"",
        b'{"entries": []',
        (tmp_path / "leaderboard.json").read_bytes().replace(b"ridge", b"swa"),
        (tmp_path / "leaderboard.json").read_bytes().replace(b"test/mae", b"test/mea"),
        (tmp_path / "leaderboard.json").read_bytes().replace(b'"trial": 1', b'"trial": 2'),
    ):
        (tmp_path / "leaderboard.json").write_bytes(damaged)
        with pytest.raises(UserError, match=r"leaderboard\.json"):
            read_leaderboard(tmp_path)

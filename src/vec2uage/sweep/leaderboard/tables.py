"""A leaderboard as leaderboard.csv and as the text with which a command ends."""

from pathlib import Path

from vec2uage.base.csv_file import write_csv
from vec2uage.base.formatting import counted, duration, size
from vec2uage.runs.leaderboard import Leaderboard, band_names
from vec2uage.runs.standings import Standing, Standings, choices
from vec2uage.runs.standings_text import conclusions, p_text, signed, years

_COLUMNS = (
    "entry",
    "splits",
    "validation_mae",
    "test_mae",
    "test_mae_low",
    "test_mae_high",
    "difference",
    "difference_low",
    "difference_high",
    "p_holm",
    "test_crps",
    "predicts",
    *(f"test_mae_{band}" for band in band_names()),
    "train_seconds",
    "predict_seconds_1000",
    "model_bytes",
    "trials",
    "most_chosen",
    "most_chosen_splits",
)


def write(board: Leaderboard, folder: Path) -> None:
    """Write leaderboard.csv: one row an entry, by test MAE; differences are from the reference, in years."""
    rows = [_row(standing) for standing in Standings(board).rows] if any(e.chosen for e in board.entries) else []
    write_csv(folder / "leaderboard.csv", _COLUMNS, rows)


def _row(row: Standing) -> list[object]:
    entry, difference = row.entry, row.difference
    [(trial, splits), *_] = choices(entry)
    far = difference.interval if difference else None
    return [
        entry.name,
        len(entry.chosen),
        row.validation,
        *(_number(value) for value in (row.mae.estimate, row.mae.low, row.mae.high)),
        *([_number(far.estimate), _number(far.low), _number(far.high)] if far else [None] * 3),
        _number(difference.p) if difference else None,
        row.crps.estimate,
        "distribution" if entry.has_spread else "point",
        *(row.bands.get(band) for band in band_names()),
        row.seconds,
        *([entry.cost.seconds, entry.cost.size] if entry.cost else [None, None]),
        len(entry.trials),
        " ".join(f"{key}={value}" for key, value in entry.trials[trial].items()),
        splits,
    ]


def _number(value: float) -> float | None:
    return None if value != value else value


def line(board: Leaderboard, name: str, seconds: float) -> str:
    """Say how an entry did, once it has ended."""
    entry = next(entry for entry in board.entries if entry.name == name)
    took = f"took {duration(seconds)}"
    if not entry.chosen:
        return f"{name}: no result ({next(iter(entry.missing.values()))}), {took}"
    row = Standings(board).standing(name)
    return f"{name}: validation {row.validation:.3f}, test {years(row.mae)}, {took}"


def text(board: Leaderboard) -> str:
    """Return the table and what follows from it."""
    if not any(entry.chosen for entry in board.entries):
        return "no entry has a result"
    standings = Standings(board)
    width = max(len("entry"), *(len(row.entry.name) for row in standings.rows))
    bands = "".join(f"{band:>7}" for band in band_names())
    lines = [
        f"{counted(len(board.splits), 'split')} of {board.training_faces:,} or more faces to train on and "
        f"{board.test_faces:,} to test; MAE in years, p after Holm; CRPS of points (*) is their MAE",
        f"{'entry':{width}} {'val':>6} {'test [95%]':>21} {'minus ' + board.reference:>25} {'p':>7} {'CRPS':>7}{bands}"
        f" {'train':>8} {'1,000':>8} {'file':>8}",
        *(_line(row, width, board.reference) for row in standings.rows),
        *conclusions(standings),
    ]
    return "\n".join(lines)


def _line(row: Standing, width: int, reference: str) -> str:
    difference, cost = row.difference, row.entry.cost
    far = signed(difference.interval) if difference else "reference" if row.entry.name == reference else "-"
    bands = "".join(f"{row.bands[band]:7.2f}" if band in row.bands else f"{'-':>7}" for band in band_names())
    crps = f"{row.crps.estimate:.3f}" + ("" if row.entry.has_spread else "*")
    used = f" {1000 * cost.seconds:5.0f} ms {size(cost.size):>8}" if cost else f" {'-':>8} {'-':>8}"
    return (
        f"{row.entry.name:{width}} {row.validation:6.3f} {years(row.mae):>21} {far:>25} "
        f"{p_text(difference.p) if difference else '':>7} {crps:>7}{bands} {row.seconds:6.1f} s{used}"
    )

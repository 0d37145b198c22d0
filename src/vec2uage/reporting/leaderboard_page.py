"""The report on a leaderboard: its headline, the entries, how they differ, what was chosen, and what it costs.

Runs that validation did not choose are not shown: whoever saw their test errors could choose by these.
"""

from vec2uage.base.errors import UserError
from vec2uage.reporting.content import Column, Figure, Report, Section, Table
from vec2uage.reporting.figures.standings import CAPTION, maes
from vec2uage.runs.leaderboard import Leaderboard, band_names
from vec2uage.runs.standings import Difference, Standing, Standings, choices
from vec2uage.runs.standings_text import conclusions, incomplete
from vec2uage.statistics.bootstrap import Interval

_COUNTED = (
    "Years. Means over splits with 95% intervals of the corrected resampled t, as splits share faces (Nadeau and "
    "Bengio 2003)."
)


def compose(board: Leaderboard, name: str) -> Report:
    """Put together the report on the leaderboard of a folder called `name`; UserError where no entry has a result."""
    if not any(entry.chosen for entry in board.entries):
        raise UserError(f"{name} is a leaderboard without results: {' '.join(incomplete(board))}")
    standings = Standings(board)
    said = [text for text in conclusions(standings) if text not in incomplete(board)]
    return Report(
        f"Underage age estimation: {name}",
        tuple(said),
        tuple(incomplete(board)),
        (
            Section(
                "Leaderboard",
                (
                    f"{len(board.splits)} splits, each of {board.training_faces:,} or more faces to train on and "
                    f"{board.test_faces:,} to test. In every split the trial of an entry with the lowest validation "
                    "error was chosen, and that one alone is tested.",
                ),
                (_errors(standings), _differences(standings)),
                (Figure("leaderboard", CAPTION, maes(standings)),),
            ),
            Section("What validation chose", tables=(_headline(standings), _chosen(standings))),
            Section("What it costs", tables=(_costs(standings),)),
            Section("Where the numbers come from", (f"Command: {board.command}",)),
        ),
    )


def _errors(standings: Standings) -> Table:
    names = band_names()
    return Table(
        "leaderboard",
        "Entries by test MAE",
        (
            Column("entry"),
            Column("splits"),
            Column("validation MAE", 3),
            Column("test MAE", 3),
            Column("test CRPS", 3),
            Column("predicts"),
            *(Column(f"MAE {band}", 2) for band in names),
        ),
        tuple(
            (
                row.entry.name,
                len(row.entry.chosen),
                row.validation,
                row.mae,
                row.crps.estimate,
                _predicts(row),
                *(row.bands.get(band) for band in names),
            )
            for row in standings.rows
        ),
        f"{_COUNTED} MAE by ages in whole years. The CRPS of points is their absolute error: of two models that err "
        "alike, the one that also says how sure it is has the lower. Marked: the lowest mean validation MAE.",
        frozenset(n for n, row in enumerate(standings.rows) if row.entry.name == standings.first),
    )


def _predicts(row: Standing) -> str:
    return "distribution" if row.entry.has_spread else "points"


def _differences(standings: Standings) -> Table:
    reference, first = standings.board.reference, standings.first
    return Table(
        "leaderboard_differences",
        "Differences in test MAE, split by split",
        (
            Column("entry"),
            Column(f"minus {reference}", 3),
            Column("p", 3),
            *([Column(f"minus {first}", 3), Column(f"p against {first}", 3)] if first != reference else []),
        ),
        tuple(
            (
                row.entry.name,
                *_cells(row.difference),
                *(_cells(row.from_first) if first != reference else ()),
            )
            for row in standings.rows
        ),
        f"{_COUNTED} p is two-sided, of no difference, after Holm's correction for all entries of the column.",
    )


def _cells(difference: Difference | None) -> tuple[Interval | None, float | None]:
    return (difference.interval, difference.p) if difference else (None, None)


def _headline(standings: Standings) -> Table:
    headline = standings.headline
    return Table(
        "leaderboard_headline",
        "The entry with the lowest validation MAE in each split",
        (Column("entry"), Column("splits")),
        tuple(headline.times.items()),
        "How often each entry would have been taken by somebody with one split.",
    )


def _chosen(standings: Standings) -> Table:
    rows = [
        (row.entry.name, number, times, _options(row.entry.fixed), _options(row.entry.trials[number]))
        for row in standings.rows
        for number, times in choices(row.entry)
    ]
    return Table(
        "leaderboard_chosen",
        "Trials that validation chose",
        (Column("entry"), Column("trial"), Column("splits"), Column("set for all trials"), Column("drawn")),
        tuple(rows),
        "Trial 0 is the model without what is drawn.",
    )


def _options(options: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items())


def _costs(standings: Standings) -> Table:
    return Table(
        "leaderboard_costs",
        "Time and size",
        (
            Column("entry"),
            Column("trials"),
            Column("seconds to train one run", 1),
            Column("ms for 1,000 faces", 0),
            Column("model file, MB", 2),
        ),
        tuple(
            (
                row.entry.name,
                len(row.entry.trials),
                row.seconds,
                *((1000 * row.entry.cost.seconds, row.entry.cost.size / 1e6) if row.entry.cost else (None, None)),
            )
            for row in standings.rows
        ),
        "Wall time of the runs that were chosen, as they shared the machine; faces and file of the first of them.",
    )

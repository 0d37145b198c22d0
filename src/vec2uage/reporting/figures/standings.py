"""Entries of a leaderboard, one below the other."""

from typing import TYPE_CHECKING

from vec2uage.reporting.figures.row_panels import number_rows, row_panels
from vec2uage.reporting.figures.style import OTHERS, PAGE, styled
from vec2uage.runs.standings import Standings
from vec2uage.runs.standings_text import p_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Test MAE of each entry with its 95% interval, and its difference from the reference, split by split. Intervals "
    "are those of each entry by itself, p is after Holm's correction for all of them. Grey: the mean validation MAE of "
    "what was chosen. Orange: the entry with the lowest one."
)


@styled()
def maes(standings: Standings) -> "Figure":
    """Draw means with intervals to the left, paired differences from the reference to the right."""
    rows = standings.rows
    figure, (left, right) = row_panels([row.entry.name for row in rows], PAGE, 2, 0.2)
    left.set_title("Test MAE (years)")
    right.set_title(f"Minus {standings.board.reference} (years)")
    right.axvline(0, color="0.6", linewidth=0.6)
    for place, row in enumerate(rows):
        colour = OTHERS[1] if row.entry.name == standings.first else OTHERS[0]
        left.plot([row.mae.low, row.mae.high], [place, place], color=colour)
        left.plot([row.mae.estimate], [place], "o", color=colour)
        left.plot([row.validation], [place], "o", color=OTHERS[2], alpha=0.6)
        if row.difference:
            interval = row.difference.interval
            right.plot([interval.low, interval.high], [place, place], color=colour)
            right.plot([interval.estimate], [place], "o", color=colour)
    number_rows(left, "MAE", [f"{row.mae.estimate:.3f}" for row in rows])
    number_rows(right, "p", [p_text(row.difference.p) if row.difference else "" for row in rows])
    return figure

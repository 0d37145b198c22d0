"""A leaderboard in words, for the terminal and for pages: one wording, made from the numbers."""

from vec2uage.base.formatting import counted
from vec2uage.runs.leaderboard import Leaderboard
from vec2uage.runs.standings import Difference, Standings
from vec2uage.statistics.bootstrap import Interval
from vec2uage.statistics.comparison import ALPHA


def conclusions(standings: Standings) -> list[str]:
    """Return what a leaderboard says in sentences; the first is the headline."""
    board, headline = standings.board, standings.headline
    times = ", ".join(f"{name} {number}" for name, number in headline.times.items())
    said = [
        f"Chosen by validation in each split ({sum(headline.times.values())}) among "
        f"{len(standings.rows)} entries, the test MAE is {years(headline.mae)} years"
        + (f", {against(headline.difference, board.reference)}" if headline.difference else "")
        + f" (chosen: {times})."
    ]
    first = standings.standing(standings.first)
    said.append(
        f"By mean validation error {first.entry.name} is first ({first.validation:.3f}): its test MAE is "
        f"{years(first.mae)}"
        + (f", {against(first.difference, board.reference)}" if first.difference else ", and it is the reference")
        + (" (flattered: what one split validates with, others test)." if len(board.splits) > 1 else ".")
    )
    told = [(row.entry.name, row.from_first) for row in standings.rows if row.from_first and row.from_first.p >= 0]
    groups = {
        "above it on the test": [name for name, d in told if d.p < ALPHA and d.interval.estimate > 0],
        "below it": [name for name, d in told if d.p < ALPHA and d.interval.estimate < 0],
        "not told apart from it": [name for name, d in told if d.p >= ALPHA],
    }
    if told:
        parts = [f"{words}: {', '.join(names)}" for words, names in groups.items() if names]
        said.append(f"Of the others (p below {ALPHA:g} after Holm), {'; '.join(parts)}.")
    return said + incomplete(board)


def incomplete(board: Leaderboard) -> list[str]:
    """Say which entries lack splits, and why."""
    return [
        f"{entry.name} has no result in {counted(len(entry.missing), 'split')}, such as {split} ({reason})."
        for entry in board.entries
        if entry.missing
        for split, reason in [next(iter(entry.missing.items()))]
    ]


def against(difference: Difference, other: str, of_p: str = "p") -> str:
    """Say how something differs from an entry: `0.081 below swa [-0.120, -0.042], p 0.001`."""
    estimate, low, high = difference.interval.estimate, difference.interval.low, difference.interval.high
    sure = "" if low != low else f" [{low:+.3f}, {high:+.3f}], {of_p} {p_text(difference.p)}"
    return f"{abs(estimate):.3f} {'below' if estimate < 0 else 'above'} {other}{sure}"


def signed(interval: Interval) -> str:
    """Return a difference with its interval, `-0.081 [-0.120, -0.042]`."""
    bounds = "" if interval.low != interval.low else f" [{interval.low:+.3f}, {interval.high:+.3f}]"
    return f"{interval.estimate:+.3f}{bounds}"


def years(interval: Interval) -> str:
    """Return a mean with its interval, `1.784 [1.712, 1.856]`; without one where there is a single split."""
    bounds = "" if interval.low != interval.low else f" [{interval.low:.3f}, {interval.high:.3f}]"
    return f"{interval.estimate:.3f}{bounds}"


def p_text(p: float) -> str:
    """Return p as people read it.

    >>> p_text(0.00004), p_text(0.0312), p_text(float("nan"))
    ('<0.001', '0.031', '')
    """
    return "" if p != p else "<0.001" if p < 0.001 else f"{p:.3f}"

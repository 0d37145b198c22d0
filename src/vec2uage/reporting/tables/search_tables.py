"""What a search could choose, what it has chosen, and all that it tried: by validation, and without test errors."""

from vec2uage.reporting.content import Cell, Column, Table
from vec2uage.reporting.searched import Searched, at_ends


def options(search: Searched) -> Table:
    """List each option that was searched: what it may be, what the chosen trial has, and what it is worth."""
    record, chosen = search.record, search.record.chosen
    told = {label: found.shares for label, found in search.importances.items() if found.shares}
    ends = at_ends(record, chosen) if chosen else {}
    rows: list[tuple[Cell, ...]] = []
    for key, may_be in record.space.items():
        of_chosen: list[Cell] = [chosen.options[key]] if chosen else []
        where: list[Cell] = [f"{ends[key]} end" if key in ends else None] if ends else []
        rows.append((key, str(may_be), *of_chosen, *where, *(100 * shares[key] for shares in told.values())))
    heads = [Column("chosen")] * bool(chosen) + [Column("where")] * bool(ends)
    note = "Importance: the share of the score's variance that the option explains by itself (functional ANOVA). "
    return Table(
        "search_options",
        "What was searched",
        (Column("option"), Column("may be"), *heads, *(Column(f"importance for {label} (%)", 0) for label in told)),
        tuple(rows),
        (note if told else "")
        + ("Where: at which end of its range the chosen value lies; better may lie beyond." if ends else ""),
    )


def trials(search: Searched) -> Table:
    """List all trials with their options and what they reached on validation; the best are marked."""
    record = search.record
    rows: list[tuple[Cell, ...]] = [
        (
            trial.number,
            trial.status,
            *(trial.scores.get(name) if trial.number in record.known else None for name in record.objective),
            *(trial.options[key] for key in record.space),
            len(trial.runs),
            trial.reason or None,
        )
        for trial in record.trials
    ]
    columns = [Column("trial"), Column("status"), *(Column(of_score.label, 3) for of_score in search.values)]
    columns += [*map(Column, record.space), Column("runs"), Column("reason")]
    if not any(trial.reason for trial in record.trials):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(
        "trials",
        "Every trial",
        tuple(columns),
        tuple(rows),
        "Scores are means over the runs of a trial. The test errors of trials are not shown: whoever chooses by these "
        "has no test set.",
        frozenset(row for row, trial in enumerate(record.trials) if trial.number in record.best),
    )

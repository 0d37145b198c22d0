"""The part of a report that is on a search: what was chosen, how, and what its one look at the test set gave."""

import math
import shlex
from collections.abc import Iterator

import numpy as np

from vec2uage.base.formatting import counted
from vec2uage.reporting import conclusions
from vec2uage.reporting.analysis import Analysis
from vec2uage.reporting.content import Column, Figure, Section, cell_text
from vec2uage.reporting.figures import search as figures
from vec2uage.reporting.searched import Searched, at_ends
from vec2uage.reporting.tables import search_tables

_FEW = 5
"""Fewer runs of a trial say little."""


def headline(analysis: Analysis, search: Searched) -> str:
    """Say which trial validation chooses, and what its test error is; how many there are where none is the best."""
    record, chosen = search.record, search.record.chosen
    tried = counted(len(record.trials), "trial")
    if chosen is None:
        scores = " and ".join(of_score.label for of_score in search.values)
        return (
            f"Of {tried}, {len(record.best)} are beaten by no other in all of {scores}: which of them to take is yours "
            "to say, and no test error is told before."
        )
    [of_score], runs = search.values, analysis.sweep.runs
    metric, score = of_score.metric, chosen.scores[record.objective[0]]
    test = f"its mean test MAE is {conclusions.years(analysis.best.mean)}"
    if metric.name != "mae":
        tested = float(np.mean([run.scores.get(f"test/{metric.name}", math.nan) for run in runs]))
        test += f", its mean test {metric.label} {_number(tested)},"
    return (
        f"Of {tried}, validation chooses trial {chosen.number} ({of_score.label} {_number(score)}): {test} over "
        f"{counted(len(runs), 'run')}."
    )


def summary(search: Searched) -> list[str]:
    """Say what else a busy reader must know of a search: what was chosen, how trials ended, which options matter."""
    record, found = search.record, []
    if chosen := record.chosen:
        plain = Column("")
        of_chosen = [f"{key}={cell_text(value, plain)}" for key, value in chosen.options.items()]
        found.append(f"Chosen: {', '.join(of_chosen)}.")
    runs = counted(max(len(trial.runs) for trial in record.trials), "run")
    found.append(f"{counted(len(record.trials), 'trial')} of {runs} each: {record.endings}.")
    for label, of_score in search.importances.items():
        if of_score.shares:
            told = ", ".join(f"{key} {share:.0%}" for key, share in list(of_score.shares.items())[:3])
            found.append(f"What explains most of the variance of {label}: {told}.")
    return found


def warnings(search: Searched) -> list[str]:
    """Say what makes a search less than it seems."""
    record, chosen, found = search.record, search.record.chosen, []
    if chosen:
        for key, end in at_ends(record, chosen).items():
            found.append(f"{key} of the chosen trial lies at the {end} end of its range: better may lie beyond.")
    if (runs := max(len(trial.runs) for trial in record.trials)) < _FEW:
        found.append(
            f"A trial is {counted(runs, 'run')}: what is best on so few splits and seeds owes much to their luck."
        )
    if failed := sum(trial.status == "failed" for trial in record.trials):
        found.append(f"{counted(failed, 'trial')} failed: nobody knows what would have come of it.")
    return found


def section(search: Searched) -> Section:
    """Show a search: what was chosen as a command, how trials went in time, and what each option is worth."""
    record, chosen = search.record, search.record.chosen
    untold = [
        f"What options are worth for {label} is not told: {of.why_not}."
        for label, of in search.importances.items()
        if of.why_not
    ]
    if chosen is None:
        meaning = (
            "With several objectives no trial is the best. The table marks those that no other one beats in all of "
            "them; this, with the options of one of them, trains it once more:"
        )
        command = record.command
    else:
        meaning = (
            "What a trial is chosen by is the best score of many, and so in part luck. What to expect of it is its "
            "test error, which was looked at for this trial alone. This trains it once more:"
        )
        command = f"{record.command} {shlex.join(f'{key}={value}' for key, value in chosen.options.items())}"
    return Section(
        "Search",
        (*untold, meaning),
        (search_tables.options(search), search_tables.trials(search)),
        tuple(_figures(search)),
        command,
    )


def _figures(search: Searched) -> Iterator[Figure]:
    several = len(search.values) > 1
    yield Figure("search_history", figures.HISTORY, figures.history(search))
    if compared := figures.pruning(search):
        yield Figure("search_pruning", figures.PRUNING, compared)
    if several:
        yield Figure("search_front", figures.FRONT, figures.front(search))
    if shares := {label: of_score.shares for label, of_score in search.importances.items() if of_score.shares}:
        yield Figure("search_importance", figures.IMPORTANCE, figures.importances(shares))
    for of_score in search.values:
        name = f"search_slices_{of_score.metric.name}" if several else "search_slices"
        options = list(search.importances[of_score.label].shares or search.record.space)
        yield Figure(name, figures.SLICES, figures.slices(search.record, of_score, options))


def _number(value: float) -> str:
    return cell_text(value, Column("", 2))

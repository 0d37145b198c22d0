"""What can make an estimate wrong, what is known of it from a statement, and what is done about it.

By the kinds of ASTM E3016: incompleteness (something is not found), inaccuracy (what is found is wrong: it does not
exist, belongs to something else, was altered or is damaged), misinterpretation (it is right, and taken for something
else).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vec2uage.evaluation.breakdown import Group
from vec2uage.evaluation.statement import Statement
from vec2uage.predictions.minors import ADULT
from vec2uage.predictions.reliability import share_interval

_MISSED, _WRONG, _MISREAD = "incompleteness", "inaccuracy", "misinterpretation"


@dataclass(frozen=True)
class ErrorSource:
    """One source of error."""

    kind: str
    error: str
    """What can go wrong."""
    known: str
    """What this statement tells of it."""
    program: str
    """What vec2uage does about it."""
    people: str
    """What is left to do."""


def error_sources(statement: Statement) -> tuple[ErrorSource, ...]:
    """Return the sources of error of predictions with the model that a statement speaks of."""
    return *_missed(statement), *_wrong(statement), *_misread(statement)


def _missed(statement: Statement) -> Iterator[ErrorSource]:
    yield ErrorSource(
        _MISSED,
        "A face is not found: turned away, covered, small, dark.",
        "Nothing: only faces that were found were tried.",
        "Tries the photograph turned, too (turns). Files without a face have the status no_face, and all "
        "counts add up to the number of files.",
        "Look at files without a face.",
    )
    yield ErrorSource(
        _MISSED,
        "A file cannot be read, or a face stands between two frames of a video that are looked at.",
        "Nothing.",
        "Each file has a status and a reason; of damaged files, what can be read is taken, and it is said.",
        "Look at failed files with another program; take more frames a second (frames.per_second).",
    )
    yield ErrorSource(
        _MISSED,
        "A minor is not flagged, or is taken for an adult.",
        _missed_minors(statement),
        "Ranks by P(age < 18), so that whoever is not flagged still has a place in the order.",
        "Do not stop at the threshold; look at samples beyond it.",
    )


def _wrong(statement: Statement) -> Iterator[ErrorSource]:
    yield ErrorSource(
        f"{_WRONG}: existence",
        "What was found is no face, or none of a person: a drawing, a doll, a statue, an image made by a program.",
        "Nothing: all faces that were tried are of people.",
        "Gives the detector's score, and counts faces that are far from all training faces.",
        "Look at the picture.",
    )
    yield ErrorSource(
        f"{_WRONG}: association",
        "An age is taken for that of another face or file.",
        "Does not depend on the model.",
        "Each row has the file's hashes, the number of the face and its box.",
        "Compare the box with the picture.",
    )
    yield ErrorSource(
        f"{_WRONG}: chance",
        "The age of one face is off.",
        _chance(statement),
        "Gives an interval and a probability, not an age alone.",
        "Report the interval with the age.",
    )
    yield ErrorSource(
        f"{_WRONG}: bias",
        "The youngest are judged too old and the oldest too young, as every estimate is drawn to the middle.",
        _ends(statement.per_age),
        "States the bias of each age.",
        "Look it up for the age in question.",
    )
    yield ErrorSource(
        f"{_WRONG}: bias",
        "One group of people is judged worse than another.",
        _widest_gap(statement),
        "States errors by gender and source, as far as the data tells them.",
        "Ask whether the people of the case are among those tried.",
    )
    yield ErrorSource(
        f"{_WRONG}: bias",
        "The photographs are unlike those tried: worse, or found and cut out in another way.",
        f"Encoder of those tried: {statement.data.encoder}."
        + ("" if statement.measures else " Their quality is not known."),
        "Refuses vectors of another encoder unless encoder_mismatch=allow; marks doubtful faces in the column "
        "reliability; compares the case with the faces tried.",
        "Read what is said of the case's distance; set doubtful rows aside.",
    )
    yield ErrorSource(
        f"{_WRONG}: alteration",
        "The picture was edited: filters, make-up, a face made younger or older.",
        "Nothing: such pictures were not tried.",
        "Nothing: it does not notice.",
        "Examine the picture for traces of editing.",
    )
    yield ErrorSource(
        f"{_WRONG}: corruption",
        "A model, a file or a result is damaged or exchanged.",
        "Does not depend on the model; its hashes stand below.",
        "Checks the digests of models, statements and results, and the hashes that a source gives of its files.",
        "Compare the hashes with those of the validated model.",
    )


def _misread(statement: Statement) -> Iterator[ErrorSource]:
    yield ErrorSource(
        _MISREAD,
        "P(age < 18) is taken for proof, or an interval for certain.",
        _of_ten(statement),
        "Gives no class, only a number and a flag; copies this statement beside its results.",
        "Treat a result as a lead, and have a second person check it.",
    )
    yield ErrorSource(
        _MISREAD,
        "A share of right flags is expected that holds for another mix of ages: where minors are rare, most of those "
        "flagged are adults.",
        _flagged_adults(statement),
        "States the rates of minors and of adults apart.",
        "Think of how many minors the case may have.",
    )
    yield ErrorSource(
        _MISREAD,
        "The stated ages are wrong themselves: the data gives apparent ages, or mistakes.",
        "Not known: ages are as the data gives them.",
        "Nothing.",
        "Ask where the ages of the data come from.",
    )


def _missed_minors(statement: Statement) -> str:
    if (flagged := statement.flagged) is not None and flagged.minors:
        missed = flagged.minors - flagged.flagged_minors
        most = float(share_interval(np.array([missed]), np.array([flagged.minors]))[1][0])
        return (
            f"At the threshold, {missed:,} of {flagged.minors:,} minors were missed ({missed / flagged.minors:.1%}; "
            f"by 95% bounds of independent faces, {most:.1%} are possible)."
        )
    oldest = [row for row in statement.operating.rows if row.is_minor and row.ages == str(ADULT - 1)]
    if not oldest:
        return f"Not known: there was no face of {ADULT - 1} years."
    rate = oldest[0].rates[0].times(100)
    return (
        f"There is no threshold. By their median, {rate.estimate:.0f}% [{rate.low:.0f}, {rate.high:.0f}] of those of "
        f"{ADULT - 1} were taken for {ADULT} or older."
    )


def _chance(statement: Statement) -> str:
    mae, coverage = statement.scores["mae"], statement.scores.get("coverage_90")
    known = f"{mae:.2f} years on average"
    return f"{known}." if coverage is None else f"{known}; the 90% intervals hold {coverage:.1%} of ages."


def _ends(per_age: tuple[Group, ...]) -> str:
    ranked = [group for group in per_age if not group.is_small]
    if len(ranked) < 2:
        return "Not known: there are too few faces of each age."
    first, last = ranked[0], ranked[-1]
    low, high = first.bias_of_median.estimate, last.bias_of_median.estimate
    return f"At the age of {first.value} {low:+.1f} years on average, of {last.value} {high:+.1f}."


def _widest_gap(statement: Statement) -> str:
    groups = [group for group in statement.groups if group.column != "age" and not group.is_small]
    gaps = []
    for column in dict.fromkeys(group.column for group in groups):
        own = sorted((group for group in groups if group.column == column), key=lambda group: group.mae.estimate)
        if len(own) > 1:
            gaps.append((own[-1].mae.estimate - own[0].mae.estimate, column, own[0], own[-1]))
    if not gaps:
        return "Not known: the data tells no two groups apart that are large enough."
    _, column, best, worst = max(gaps, key=lambda gap: gap[0])
    return (
        f"By {column}, the errors differ most: {best.value} {best.mae.estimate:.2f} years, {worst.value} "
        f"{worst.mae.estimate:.2f}."
    )


def _of_ten(statement: Statement) -> str:
    coverage = statement.scores.get("coverage_90")
    if coverage is None:
        return "There are no intervals."
    return f"{1 - coverage:.1%} of ages lie outside of their 90% interval."


def _flagged_adults(statement: Statement) -> str:
    flagged = statement.flagged
    if flagged is None or not flagged.adults:
        return "Not known: there is no threshold, or no adult was tried."
    return f"{flagged.flagged_adults:,} of {flagged.adults:,} adults were flagged."

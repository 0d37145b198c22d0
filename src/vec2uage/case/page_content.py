"""What the page of a case tells beside its rows: counts, distributions, and what the estimates are worth."""

from collections.abc import Iterator, Mapping

from vec2uage.base.encoder import differences
from vec2uage.base.formatting import counted
from vec2uage.case.figures import draw_ages, draw_p_minor
from vec2uage.case.info import CaseInfo
from vec2uage.case.listing import Listing
from vec2uage.case.records import FAILED, Status
from vec2uage.case.scope import AGE, EXPECTED, MANY, Range, Scope
from vec2uage.case.summary import Summary
from vec2uage.evaluation.breakdown import Group
from vec2uage.evaluation.statement import Statement
from vec2uage.predictions.metrics import METRICS
from vec2uage.predictions.minors import boundary_text
from vec2uage.reporting.content import Cell, Column, Figure, Report, Section, Table
from vec2uage.statistics.bootstrap import Interval

_MEANINGS: dict[Status, str] = {
    "ok": "at least one face has an age",
    "no_face": "looked into, and no face was found",
    "unreadable": "could not be read",
    "missing": "listed, but not there",
    "hash_mismatch": "not the file that the list names by its hash",
    "skipped_known": "on the list of known files, and not looked into",
    "needs_plugin": "of a format that an extra package reads",
    "no_media": "neither an image nor a video",
}


def validated_ranges(statement: Statement | None) -> Mapping[str, Range]:
    """Return what the faces lie between that the model was validated on: percentiles 1 and 99, of ages all."""
    if statement is None:
        return {}
    measures = {name: (p1, p99) for name, (p1, _, p99) in (statement.measures or {}).items()}
    return {AGE: statement.data.ages, **measures}


def compose(summary: Summary, scope: Scope, info: CaseInfo, faces: Listing, files: Listing) -> Report:
    """Return all of the page but the rows of its listings."""
    headline, *others = summary.text().splitlines()
    return Report(
        f"Case: {info.source}",
        (headline, *others, "All ages are estimates of a model: they rank and suggest, and people decide."),
        tuple(_warnings(summary, scope, info)),
        (
            *_files(summary),
            *_ages(summary, info),
            *_listed(faces, "predictions.csv", _flags(info), *_doubts(summary)),
            *_listed(files, "files.csv", ()),
            *_validation(summary, scope, info),
            *_made(summary, info),
        ),
    )


def _warnings(summary: Summary, scope: Scope, info: CaseInfo) -> Iterator[str]:
    """Yield what to beware of, what concerns most faces first."""
    if info.statement is None:
        yield "The model has no validation statement: nobody knows how far off its estimates are."
    if wrong := [found for found in differences(info.model_encoder, info.vectors_encoder) if found.matters]:
        options = ", ".join(found.option for found in wrong)
        yield f"The faces came to the model in another way than those that it was trained on ({options})."
    if info.drift is not None and info.drift.is_strong:
        yield "The faces differ from those that the model was validated on, not by chance: its errors may be others."
    if info.drift is not None and info.drift.share_far > MANY:
        yield (
            f"{info.drift.far:,} of {counted(info.drift.faces, 'face')} are far from the faces that the model was "
            "trained on: they may be no faces, or of photographs that are unlike those."
        )
    if summary.faces and summary.p_minor is None:
        yield "The model gives points: no interval and no P(age < 18), so that nobody knows how sure it is."
    elif summary.faces and info.threshold is None:
        yield "The model has no guaranteed threshold, so that no face is flagged."
    for name in scope.measured:
        if scope.share_outside(name) > MANY:
            sides = ("below", scope.below[name]), ("above", scope.above[name])
            outside = ", ".join(f"{count:,} {side}" for side, count in sides if count)
            yield (
                f"{name}: {scope.share_outside(name):.1%} of the faces lie outside of what the model was validated on "
                f"({_range(scope.validated[name])}): {outside}."
            )
    if failed := sum(summary.statuses.get(status, 0) for status in FAILED):
        yield f"{counted(failed, 'file')} of {summary.files:,} could not be looked into."


def _files(summary: Summary) -> Iterator[Section]:
    rows: list[tuple[Cell, ...]] = [(status, count, _MEANINGS[status]) for status, count in summary.statuses.items()]
    marked = frozenset(k for k, (status, *_) in enumerate(rows) if status in FAILED)
    columns = Column("status"), Column("files", 0), Column("meaning")
    note = "Every input counts once. Marked are files that were to be looked into and could not be."
    rows.append(("all", summary.files, ""))
    yield Section("Files", tables=(Table("statuses", "What became of the files", columns, tuple(rows), note, marked),))


def _ages(summary: Summary, info: CaseInfo) -> Iterator[Section]:
    if not summary.faces:
        return
    text = (
        "Faces by the whole year of their estimated age, the median; below, where the 90% intervals of the faces of "
        f"each year begin and end on average. Dotted: where adults begin, {boundary_text(info.boundary)}."
    )
    figures = [Figure("ages", text, draw_ages(summary.ages, info.boundary))]
    if summary.p_minor is not None:
        text = (
            "Faces by their probability of being a minor's. Colours: whether the 90% interval holds ages of minors "
            "alone (P is 95% or more), of adults alone (below 5%), or of both. Outlined: those that are flagged."
        )
        figures.append(Figure("p_minor", text, draw_p_minor(summary.p_minor, summary.p_flagged)))
    yield Section("Ages", figures=tuple(figures))


def _listed(listing: Listing, all_are_in: str, texts: tuple[str, ...], *tables: Table) -> Iterator[Section]:
    if listing.seen:
        cut = f"The first {listing.most:,} of {listing.seen:,}; {all_are_in} has all."
        yield Section(listing.title, (*texts, cut) if listing.is_cut else texts, tables)


def _flags(info: CaseInfo) -> tuple[str, ...]:
    """Return by what rule faces are flagged, and what that promises."""
    if info.threshold is None:
        return ()
    rule = info.threshold.text().splitlines()[0]
    return (f"{rule[0].upper()}{rule[1:]}.",)


def _doubts(summary: Summary) -> Iterator[Table]:
    rows = tuple((doubt, count, count / summary.faces * 100) for doubt, count in summary.doubts.items())
    columns = Column("doubt"), Column("faces", 0), Column("share (%)", 1)
    if rows:
        yield Table("doubts", "What makes estimates doubtful", columns, rows, "A face may have several.")


def _validation(summary: Summary, scope: Scope, info: CaseInfo) -> Iterator[Section]:
    yield Section(
        "What the model was validated on",
        (*_stated(info.statement), *(info.drift.words() if info.drift else ())),
        (*_errors(info.statement), *_outside(summary, scope), *_encoders(info)),
    )


def _stated(statement: Statement | None) -> Iterator[str]:
    if statement is None:
        yield "Nobody knows: the model has no validation statement."
        return
    data = statement.data
    persons = f" of {counted(data.persons, 'person')}" if data.persons < data.faces else ""
    learnt = f"; the model may have been trained on {data.maybe_learnt:,} of them" if data.maybe_learnt else ""
    yield (
        f"{counted(data.faces, 'face')}{persons}, {_range(data.ages)} years old: {data.rows} of {data.described} "
        f"(fingerprint {data.fingerprint}){learnt}."
    )
    if statement.flagged is not None:
        yield f"Of them are flagged: {statement.flagged.text()}."
    yield from statement.limits
    yield "The whole statement lies beside this page: statement.html."


def _errors(statement: Statement | None) -> Iterator[Table]:
    """Yield the errors that the model made, over all faces and by age."""
    if statement is None:
        return
    rows = tuple((METRICS[name].label, value, METRICS[name].unit) for name, value in statement.scores.items())
    columns = Column("measure"), Column("value", 3), Column("unit")
    note = "MAE: of the medians, which are the ages in the rows above; bias: of the means of the distributions."
    yield Table("scores", "How good the estimates of these faces were", columns, rows, note)
    heads = (
        Column("age"),
        Column("faces", 0),
        Column("mean absolute error", 2),
        Column("bias", 2),
        Column("within (%)", 1),
    )
    by_age = tuple(
        (group.value, group.faces, group.mae, group.bias_of_median, _percent(group)) for group in statement.per_age
    )
    note = (
        "Years, with 95% intervals; bias: how much older than they are people are judged on average; within: the share "
        "of true ages that lie in their 90% intervals. Grey: few faces."
    )
    faint = frozenset(k for k, group in enumerate(statement.per_age) if group.is_small)
    yield Table("errors", "Errors by true age", heads, by_age, note, faint=faint)


def _percent(group: Group) -> Interval | None:
    return None if group.coverage_90 is None else group.coverage_90.times(100)


def _outside(summary: Summary, scope: Scope) -> Iterator[Table]:
    """Yield how the measures of the case compare with those of the faces that the model was validated on."""
    names = [name for name in scope.validated if scope.measured[name]]
    rows = tuple(
        (
            name,
            _range(scope.validated[name]),
            _of_case(summary, name),
            scope.below[name],
            scope.above[name],
            100 * scope.share_outside(name),
        )
        for name in names
    )
    heads = "measure", "validated on", "this case"
    columns = (*map(Column, heads), Column("faces below", 0), Column("faces above", 0), Column("outside (%)", 1))
    note = (
        f"From the 1st to the 99th percentile, so that {EXPECTED:.0%} outside is as expected; of ages from the lowest "
        "to the highest: a model seldom estimates others, so that people of other ages need not show here. Marked: "
        f"more than {MANY:.0%} outside. docs/faces.md says what is measured."
    )
    marked = frozenset(k for k, name in enumerate(names) if scope.share_outside(name) > MANY)
    if rows:
        yield Table(
            "outside", "Where the faces lie outside of what the model was validated on", columns, rows, note, marked
        )


def _of_case(summary: Summary, name: str) -> str:
    if name == AGE:
        return f"{summary.ages[0].age} to {summary.ages[-1].age + 1}"
    of = summary.measures[name]
    return f"{_range((of.p1, of.p99))}, median {_short(of.p50)}"


def _range(ends: Range) -> str:
    return f"{_short(ends[0])} to {_short(ends[1])}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _encoders(info: CaseInfo) -> Iterator[Table]:
    """Yield in what the faces came to the network in another way than those that the model was trained on."""
    found = differences(info.model_encoder, info.vectors_encoder)
    rows = tuple((of.option, of.wanted or "not known", of.given or "not known") for of in found)
    marked = frozenset(k for k, of in enumerate(found) if of.matters)
    columns = Column("option"), Column("the model"), Column("this case")
    note = "Marked: for these a model of the one is wrong for the other."
    if rows:
        yield Table("encoders", "How the faces came to the model in another way", columns, rows, note, marked)


def _made(summary: Summary, info: CaseInfo) -> Iterator[Section]:
    rows = {
        "source": info.source,
        "command": info.line,
        "version of the code": info.code,
        "model": info.model,
        "digest of the model": info.model_digest,
        "encoder of the model": info.model_encoder,
        "encoder of the faces": info.vectors_encoder,
        "calibration": "; ".join(line.strip() for line in (info.calibrated_by or "none").splitlines()),
        "found by": ", ".join(f"{detector}: {counted(n, 'face')}" for detector, n in summary.detectors.items()),
        "faces in turned pictures": f"{summary.turned:,}",
    }
    columns = Column("what"), Column("value")
    yield Section("Where the numbers come from", tables=(Table("made", "Of this page", columns, tuple(rows.items())),))

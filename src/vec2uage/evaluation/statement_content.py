"""What the page of a statement says, whatever it is written as.

Its order is that of an error mitigation analysis, as SWGDE (12-Q-001) and ASTM E3016 ask for: what the method is for,
how it was tried, how often it is wrong, from what sources errors come and what is done about each, and what is not
known. Rates alone do not tell what can go wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vec2uage.base.formatting import counted
from vec2uage.evaluation.breakdown import Group
from vec2uage.evaluation.error_sources import ErrorSource, error_sources
from vec2uage.evaluation.statement import Statement
from vec2uage.predictions.metrics import METRICS
from vec2uage.predictions.minors import boundary_text
from vec2uage.predictions.operating import FEWEST, OperatingRow
from vec2uage.statistics.bootstrap import Interval

_SHOWN_THRESHOLDS = (18, 21, 25)
_FEW = " *"


@dataclass(frozen=True)
class Table:
    """Rows of texts below their heads; the first column names what a row is of."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    prose: bool = False
    """Whether its cells are sentences, and no numbers to be set to the right."""


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading."""

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    """Sentences of a list."""
    tables: tuple[Table, ...] = ()


def sections(statement: Statement) -> tuple[Section, ...]:
    """Return the whole page."""
    return (
        _summary(statement),
        _scope(statement),
        _data(statement),
        _errors(statement),
        _operating(statement),
        _calibration(statement),
        Section(
            "Sources of error, and what is done about them",
            ("Each can make a result wrong that no rate above foresees.",),
            tables=(_sources(error_sources(statement)),),
        ),
        Section("Known limits", points=statement.limits),
        _origin(statement),
    )


def _summary(statement: Statement) -> Section:
    data, scores = statement.data, statement.scores
    sentences = [
        f"Of {counted(data.faces, 'face')} of the ages {_ages(statement)} that it was tried on, the model is off by "
        f"{scores['mae']:.2f} years on average (mean absolute error)."
    ]
    if (coverage := scores.get("coverage_90")) is not None:
        width = scores.get("width_90") or 0.0
        sentences.append(
            f"Of the ages, {coverage:.1%} lie in the intervals that should hold 90%; these are {width:.1f} years wide "
            "on average."
        )
    if statement.flagged is not None:
        sentences.append(f"At the model's threshold are flagged: {statement.flagged.text()}.")
    sentences.append("What follows holds for faces like those, and says nothing of others; no estimate proves an age.")
    return Section("In short", tuple(sentences))


def _scope(statement: Statement) -> Section:
    traits = tuple((name, value) for name, value in statement.traits.items())
    return Section(
        "Scope and method",
        (
            "The model estimates ages from face vectors, which an encoder makes of faces that a detector found. It is "
            "meant for ranking the photographs of a case, so that people look at the likeliest first. It does not tell "
            "who a person is, does not judge what a picture shows, and does not replace the examination of a "
            "photograph: people decide.",
            "An estimate is a distribution of age: its median, the interval that holds the age with 90%, and "
            "P(age < 18). A face is one row; a file counts by its youngest face.",
        ),
        tables=(Table("The model", ("what", "value"), traits, prose=True),),
    )


def _data(statement: Statement) -> Section:
    data = statement.data
    rows = [
        ("data", data.described),
        ("which of it", data.rows),
        ("fingerprint", data.fingerprint),
        ("encoder of the vectors", data.encoder),
        ("faces", f"{data.faces:,}"),
        ("persons", f"{data.persons:,}" if data.persons < data.faces else "as many as faces, or not known"),
        ("ages", f"{data.ages[0]:g} to {data.ages[1]:g}"),
        ("adults begin at", boundary_text(data.boundary)),
    ]
    tables = [Table("The faces that the model was tried on", ("what", "value"), tuple(rows), prose=True)]
    if statement.measures:
        measures = tuple((name, *(f"{p:.4g}" for p in of)) for name, of in sorted(statement.measures.items()))
        note = "As vec2uage.prepare measures them: 98% of the faces lie between the 1st and the 99th percentile."
        tables.append(Table("Their photographs", ("measure", "1%", "50%", "99%"), measures, note))
    return Section("How it was tried", tables=tuple(tables))


def _errors(statement: Statement) -> Section:
    overall = [
        (METRICS[name].label, "-" if value is None else f"{value:.3f} {METRICS[name].unit}".strip())
        for name, value in statement.scores.items()
        if name in METRICS
    ]
    bounds = (
        "Years, in brackets the bounds of 95% of 2,000 resamples of persons; bias: of the medians, above 0 where "
        "people are judged too old; covered: the share of ages in the 90% "
        f"intervals.{_few(any(group.is_small for group in statement.groups))}"
    )
    tables = [Table("All faces", ("measure", "value"), tuple(overall), "MAE: of the medians; bias: of the means.")]
    for column in dict.fromkeys(group.column for group in statement.groups):
        own = [group for group in statement.groups if group.column == column]
        heads = (column, "faces", "persons", "MAE", "bias", "covered")
        tables.append(Table(f"By {column}", heads, tuple(map(_group_row, own)), bounds))
    return Section("Errors", tables=tuple(tables))


def _operating(statement: Statement) -> Section:
    table = statement.operating
    places = [place for place, t in enumerate(table.thresholds) if t in _SHOWN_THRESHOLDS]
    rows = tuple(_operating_row(row, places) for row in table.rows)
    return Section(
        "Who is taken for the other side of a threshold",
        (
            "Of those below 18, how many are taken for T or older by their median; of the others, how many for younger "
            "than T.",
        ),
        tables=(
            Table(
                "Operating table",
                ("age", "taken for", "faces", *(f"T = {table.thresholds[place]}" for place in places)),
                rows,
                f"Percent, with 95% bounds.{_few(any(row.faces < FEWEST for row in table.rows))}",
            ),
        ),
    )


def _calibration(statement: Statement) -> Section:
    if not statement.calibrated_by:
        return Section("Calibration and threshold", ("The model comes without a calibration and without a threshold.",))
    flagged = [] if statement.flagged is None else [f"of the faces tried here are flagged: {statement.flagged.text()}"]
    lines = [line.strip() for line in [*statement.calibrated_by.splitlines(), *flagged]]
    return Section("Calibration and threshold", points=tuple(lines))


def _sources(found: Sequence[ErrorSource]) -> Table:
    heads = ("kind", "what can go wrong", "what is known of it here", "what the program does", "what people must do")
    rows = tuple((each.kind, each.error, each.known, each.program, each.people) for each in found)
    note = (
        "Kinds as in ASTM E3016: something is not found, something found is wrong, or it is taken for something else."
    )
    return Table("Sources of error", heads, rows, note, prose=True)


def _origin(statement: Statement) -> Section:
    files = [(f"file {name}", f"SHA-256 {sha256}") for name, sha256 in statement.files.items()]
    versions = [(name, str(value)) for name, value in statement.provenance.items() if value is not None]
    rows = [("model and calibration", statement.model), *files, ("code", statement.code), *versions]
    if statement.reference is not None:
        rows.append(("reference of the training faces", f"SHA-256 {statement.reference}"))
    return Section(
        "Hashes, and how to find the same again",
        (
            f"Type {statement.command}" if statement.command else "Evaluate the model with statement=true.",
            "With the same model, data and code, the same numbers come out; the fingerprint of the data and the hashes "
            "below tell whether they are the same.",
        ),
        tables=(Table("Hashes and versions", ("what", "value"), tuple(rows), prose=True),),
    )


def _ages(statement: Statement) -> str:
    return "{:.0f} to {:.0f}".format(*statement.data.ages)


def _group_row(group: Group) -> tuple[str, ...]:
    covered = "-" if group.coverage_90 is None else _shown(group.coverage_90.times(100), 0)
    name = f"{group.value}{_FEW if group.is_small else ''}"
    errors = _shown(group.mae, 2), _shown(group.bias_of_median, 2, "+")
    return name, f"{group.faces:,}", f"{group.persons:,}", *errors, covered


def _operating_row(row: OperatingRow, places: Sequence[int]) -> tuple[str, ...]:
    side = "T or older" if row.is_minor else "younger than T"
    rates = (_shown(row.rates[place].times(100), 1) for place in places)
    return f"{row.ages}{_FEW if row.faces < FEWEST else ''}", side, f"{row.faces:,}", *rates


def _shown(value: Interval, digits: int, sign: str = "") -> str:
    """Return an estimate with its bounds, if it has any: `2.48 [2.46, 2.50]`."""
    if value.estimate != value.estimate:
        return "-"
    estimate, low, high = (f"{number:{sign}.{digits}f}" for number in (value.estimate, value.low, value.high))
    return estimate if value.low != value.low else f"{estimate} [{low}, {high}]"


def _few(some: bool) -> str:
    return f" {_FEW.strip()}: fewer than {FEWEST} faces, which say little." if some else ""

"""A case as one HTML page that needs nothing beside it, and holds no pixel: what was found, and what it is worth."""

from pathlib import Path

from vec2uage import __version__
from vec2uage.base.atomic import replacing
from vec2uage.case.info import CaseInfo
from vec2uage.case.listing import ListedColumn, Listing, Value
from vec2uage.case.page_content import compose, validated_ranges
from vec2uage.case.records import FAILED, FaceResult, FileResult, Results
from vec2uage.case.scope import Scope
from vec2uage.case.summary import Summary
from vec2uage.reporting.figures.save import svg_text
from vec2uage.reporting.page import stream

_FACE_COLUMNS = (
    ListedColumn("file"),
    ListedColumn("face", "count"),
    ListedColumn("P(age < 18)", "probability", "at least"),
    ListedColumn("age", "years", "at most"),
    ListedColumn("90% from", "years"),
    ListedColumn("to", "years"),
    ListedColumn("flag", ask="of"),
    ListedColumn("reliability", ask="of"),
    ListedColumn("where"),
    ListedColumn("MD5"),
)
_FACES_NOTE = (
    "The likeliest minors come first. Age: the median, and the central 90% interval, in years. Flag: by the model's "
    "own P(age < 18), before any calibration: the one shown is calibrated, if the model is, and by it two faces may "
    "come in another order. Reliability: ok, or what makes the estimate doubtful. Where: the face's box in pixels."
)
_FILE_COLUMNS = (
    ListedColumn("file"),
    ListedColumn("status", ask="of"),
    ListedColumn("reason"),
    ListedColumn("MD5"),
)
_FILES_NOTE = (
    "Files without a face that has an age, and those of which only a part could be read. First come those that could "
    "not be looked into."
)


def write_page(path: Path, results: Results, summary: Summary, info: CaseInfo) -> None:
    """Write the page of a case, whose results are read once; the same results give the same bytes.

    Memory grows to that of the rows that the page lists (`listing.MOST` faces and files), whatever the case's size.
    """
    faces = Listing("faces", "Faces", _FACE_COLUMNS, _FACES_NOTE)
    files = Listing("files", "Files without an age", _FILE_COLUMNS, _FILES_NOTE)
    scope = Scope(validated_ranges(info.statement))
    for result in results():
        if result.status != "ok" or result.reason:
            files.add(_urgency(result), _file_row(result))
        for face in result.faces:
            faces.add(_rank(face), _face_row(result, face))
            scope.add(face)
    report = compose(summary, scope, info, faces, files)
    svg = {figure.name: svg_text(figure.drawing) for section in report.sections for figure in section.figures}
    made = f"Made by vec2uage {__version__}: {info.line}"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as page:
        page.writelines(stream(report, svg, made, "vec2uage.case", listings=(faces, files)))


def _rank(face: FaceResult) -> tuple[float, ...]:
    """Return by what faces are ranked: the likeliest minors first, and of these the youngest."""
    return -(face.p_minor or 0.0), face.age


def _face_row(result: FileResult, face: FaceResult) -> tuple[Value, ...]:
    return (
        result.file.name,
        face.number,
        face.p_minor,
        face.age,
        face.low,
        face.high,
        None if face.flagged is None else "flagged" if face.flagged else "not flagged",
        face.reliability,
        _where(face),
        _md5(result),
    )


def _where(face: FaceResult) -> str:
    """Return where a face is: `40,32 to 140,160`, its box in pixels; how the picture was turned; when in a video.

    "" for a vector, of which nobody knows.
    """
    found = face.face
    places = [f"{found.left},{found.top} to {found.right},{found.bottom}"] if found.right > found.left else []
    if found.turn:
        places.append(f"turned by {found.turn}\N{DEGREE SIGN}")
    if found.seconds is not None:
        places.append(f"at {found.seconds:.2f} s")
    return ", ".join(places)


def _urgency(result: FileResult) -> tuple[float, ...]:
    """Return by what files are ranked: first those that could not be looked into, then those read in part."""
    return (0.0 if result.status in FAILED else 1.0 if result.status == "ok" else 2.0,)


def _file_row(result: FileResult) -> tuple[Value, ...]:
    return result.file.name, result.status, result.reason, _md5(result)


def _md5(result: FileResult) -> str | None:
    return None if result.hashes is None else result.hashes.md5

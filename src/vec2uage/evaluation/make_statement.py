"""From an evaluation to the statement of its model, and the files that are left beside the model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import code_fingerprint, file_sha256, provenance
from vec2uage.calibration.recall import Flagged
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.evaluation import reference, statement, statement_page
from vec2uage.evaluation.ensemble import common_folder
from vec2uage.evaluation.judgement import Judgement
from vec2uage.evaluation.known_limits import known_limits
from vec2uage.evaluation.statement import Data, Statement
from vec2uage.predictions.minors import boundary
from vec2uage.predictions.operating import numbered
from vec2uage.training.calibrated import Calibrated

log = logging.getLogger(__name__)

_PERCENTILES = (1, 50, 99)


@dataclass(frozen=True, eq=False)
class Found:
    """What an evaluation has found out."""

    calibrated: Calibrated
    judged: VectorSet
    judgement: Judgement
    flagged: Flagged | None
    trained: VectorSet | None
    """The faces that the model was trained on; None where that is not known."""
    maybe_learnt: int
    """How many of the judged ones the model may have been trained on."""


def check_states(calibrated: Calibrated, saved: bool) -> None:
    """Raise UserError where a model that is not saved is judged without the calibration that its file has."""
    if not saved and calibrated.calibration is None and calibrated.model.calibration is not None:
        raise UserError(
            "statement: calibrate=none leaves out the calibration that the model's file has, and that vec2uage.predict "
            "takes: set calibrate=saved, or save_as to a file without it"
        )


def write_statement(found: Found, paths: Sequence[Path], part: str, config: Mapping[str, Any], command: str) -> Path:
    """Write the statement of the model in some files beside them, as JSON, HTML and Markdown; return the HTML's path.

    `config` and `command` are those of the evaluation. With it goes the reference of the training faces, if these are
    known and are enough.
    """
    place = statement.find(paths)
    page = place.with_suffix(".html")
    for stale in (place, page, place.with_suffix(".md"), reference.find(place)):
        stale.unlink(missing_ok=True)  # the JSON first: without it the others say nothing
    made = make_statement(found, paths, part, config, command, _write_reference(found, reference.find(place)))
    statement_page.write(page.with_suffix(""), made)
    statement.write(place, made)
    return page


def make_statement(
    found: Found,
    paths: Sequence[Path],
    part: str,
    config: Mapping[str, Any],
    command: str,
    reference_sha256: str | None = None,
) -> Statement:
    """Return the statement of the model in some files; see `write_statement`."""
    vs, calibration = found.judged, found.calibrated.calibration
    ages = needed_ages(vs, "a statement")
    data = Data(
        described=_described(config["dataset"]),
        part=part,
        fingerprint=vs.fingerprint(),
        encoder=vs.encoder,
        faces=len(vs),
        persons=int(numbered(vs.subjects).max()) + 1,
        ages=(float(ages.min()), float(ages.max())),
        boundary=boundary(ages),
        maybe_learnt=found.maybe_learnt,
    )
    measures = _measures(vs, config["dataset"].get("path"))
    model, folder = found.calibrated.model, common_folder(paths)
    return Statement(
        model=found.calibrated.digest,
        files={path.relative_to(folder).as_posix(): file_sha256(path) for path in paths},
        traits=dict(model.traits()),
        encoder=model.encoder,
        data=data,
        scores={name: value if np.isfinite(value) else None for name, value in found.judgement.scores.overall.items()},
        groups=found.judgement.groups,
        operating=found.judgement.operating,
        calibration=None if calibration is None else calibration.about(),
        calibrated_by="" if calibration is None else calibration.text(),
        flagged=found.flagged,
        measures=measures,
        reference=reference_sha256,
        limits=known_limits(
            found.calibrated, vs, found.judgement, data, measures, found.trained, reference_sha256 is not None
        ),
        code=code_fingerprint(),
        provenance=provenance(),
        command=command,
    )


def _write_reference(found: Found, path: Path) -> str | None:
    """Write what is known of the training faces, and return the file's SHA-256; None where too little is known."""
    if found.trained is None or len(found.trained) < reference.FEWEST:
        log.warning(
            "no %s is written, by which vec2uage.predict tells faces that are unlike those of training: %s",
            path.name,
            f"it takes {reference.FEWEST} of these"
            if found.trained is not None
            else "these are known only where dataset and split are those of the model's run, and it lies in its folder",
        )
        return None
    learnt = {vector.tobytes() for vector in found.trained.vectors}
    is_new = [vector.tobytes() not in learnt for vector in found.judged.vectors]
    reference.write(path, reference.fit(found.trained.vectors, found.judged.vectors[is_new]))
    return file_sha256(path)


def _described(dataset: Mapping[str, Any]) -> str:
    """Return where the faces come from: the path that was typed, else the options of what makes them."""
    options = {name: value for name, value in dataset.items() if name != "_target_" and value is not None}
    return str(options.get("path") or ", ".join(f"{name}={value}" for name, value in options.items()))


def _measures(vs: VectorSet, path: str | None) -> dict[str, tuple[float, float, float]] | None:
    """Return percentiles of what `vec2uage.prepare` measured of the faces, None where its faces.csv does not tell.

    The detector's score is left out: each detector has a scale of its own.
    """
    if path is None:
        return None
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        rows = {_face_name(row): row for row in read_csv(folder / "faces.csv") if row["status"] == "ok"}
        own = [rows[name] for name in vs.names]
        heads = list(own[0])
        measured = heads[heads.index("detector") + 1 : heads.index("sha256")]
        columns = {name: np.array([float(row[name] or "nan") for row in own]) for name in measured}
    except (OSError, ValueError, KeyError):  # there is none, or it is of other faces or of another program
        return None
    found = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    return {name: _percentiles(column) for name, column in found.items()} or None


def _percentiles(column: Float[np.ndarray, " N"]) -> tuple[float, float, float]:
    first, middle, last = np.nanpercentile(column, _PERCENTILES).tolist()
    return first, middle, last


def _face_name(row: Mapping[str, str]) -> str:
    """Return what the vector of a row of faces.csv is called."""
    return row["name"] if row["face"] in ("", "1") else f"{row['name']}#{row['face']}"

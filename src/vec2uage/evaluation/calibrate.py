"""Calibrates the model of an evaluation, on faces that it has not learnt from and that are not judged."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, Real

from vec2uage.base.encoder import check
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.base.seeds import numpy_generator
from vec2uage.calibration import recall
from vec2uage.calibration.base import Columns
from vec2uage.calibration.saved import DIGEST, SavedCalibration
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.evaluation.ensemble import described, warn_of_rows_seen
from vec2uage.evaluation.evaluate_settings import Evaluation
from vec2uage.evaluation.rows import calibration_rows, is_of_same_data, is_of_same_split
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.minors import ADULT, boundary
from vec2uage.runs.folder import RunFolder
from vec2uage.training.calibrated import Calibrated, as_saved
from vec2uage.training.outcome import Model

log = logging.getLogger(__name__)


def calibrate(
    settings: Evaluation,
    model: Model,
    paths: Sequence[Path],
    judged: VectorSet,
    predict: Callable[[VectorSet], Prediction],
    config: Any,
) -> Calibrated:
    """Return a model with the calibration and the threshold that the settings ask for, fitted or saved with it.

    `paths` are the files that it was read from, `predict` gives its own predictions, `config` is the configuration of
    the evaluation. Raises UserError where there are too few faces to fit to, or some of them are judged, too.
    """
    fits_threshold = settings.minors.recall is not None
    if not settings.calibrate.takes_saved:
        if model.calibration is not None:
            log.info("the calibration that the model comes with is left out")
        saved = Calibrated(model)
    else:
        saved = as_saved(model, described(paths))
    if saved.calibration is not None:
        _check_applicable(saved.calibration, settings, judged)
        log.info("the model comes with a calibration, which is applied (calibrate=none leaves it out)")
        if fits_threshold:
            raise UserError(
                "minors.recall: the model comes with a calibration that was fitted to other faces: fit both anew "
                "(calibrate=conformal), or the threshold alone (calibrate=none)"
            )
    if not (settings.calibrate.fits or fits_threshold):
        return saved
    rows, what = calibration_rows(settings, paths)
    _warn_of_rows_learnt_from(settings, rows, paths, config)
    _warn_of_persons_on_both_sides(rows, judged)
    calibration = _fitted(settings, model, rows, what, predict(rows))
    _check_applicable(calibration, settings, judged)
    return Calibrated(model, calibration)


def columns_of(vs: VectorSet) -> Columns:
    """Return what is known of each row that a calibration can be fitted by."""
    return {"gender": vs.gender, "source": vs.source}


def one_face_each(vs: VectorSet, ages: Real[np.ndarray, " N"]) -> Integer[np.ndarray, " n"]:
    """Draw one face of each person, and where there are faces as a minor and as an adult, one of each.

    What is counted with a confidence must be independent, which faces of one person are not.
    """
    drawn = numpy_generator(0, "calibrate", "one face each").permutation(len(vs))
    of_person = {(vs.subjects[row] or row, bool(ages[row] < ADULT)): row for row in drawn.tolist()}
    return np.sort(np.array(list(of_person.values()), dtype=np.int64))


def _fitted(settings: Evaluation, model: Model, rows: VectorSet, what: str, prediction: Prediction) -> SavedCalibration:
    """Fit the calibration, the threshold, or both, each to all rows: the threshold is of `prediction` itself."""
    ages, minors = needed_ages(rows, "a calibration"), settings.minors
    fitted = threshold = None
    if settings.calibrate.fits:
        fitted = settings.calibrate.fit(prediction, ages, columns_of(rows))
    if minors.recall is not None:
        drawn = one_face_each(rows, ages)
        if len(drawn) < len(rows):
            what += f"; of each person one face for the threshold, {len(drawn):,} of {len(rows):,}"
        threshold = recall.fit(prediction.take(drawn), ages[drawn], boundary(ages), minors.recall, minors.confidence)
    return SavedCalibration(
        model=model.digest,
        encoder=rows.encoder,
        tta=settings.tta,
        rows=what,
        faces=len(rows),
        data_fingerprint=rows.fingerprint(),
        vectors="".join(sorted(_digests(rows))),
        boundary=boundary(ages),
        fitted=fitted,  # type: ignore[arg-type]  # pydantic checks it
        threshold=threshold,
    )


def _check_applicable(calibration: SavedCalibration, settings: Evaluation, judged: VectorSet) -> None:
    """Refuse faces that a calibration was fitted to, and predictions of another kind than those; warn of other ages."""
    if calibration.tta != settings.tta:
        raise UserError(
            f"tta = {settings.tta}: the model's calibration was fitted to predictions with tta={calibration.tta}: set "
            "that, or calibrate=none"
        )
    check(
        calibration.encoder,
        judged.encoder,
        ("the model's calibration", "the dataset"),
        "take vectors as those it was fitted to, or set calibrate=none or encoder_mismatch=allow",
        allow=settings.encoder_mismatch == "allow",
    )
    if both := calibration.digests & _digests(judged):
        raise UserError(
            f"{len(both):,} of {calibration.faces:,} faces to calibrate on are among those to judge, of which nothing "
            "would be known then: judge others (part=test), calibrate on others (calibrate.part, calibrate.path), or "
            "set calibrate=none"
        )
    if calibration.boundary != boundary(needed_ages(judged, "an evaluation")):
        log.warning(
            "the ages to calibrate on and those to judge are not on one scale: only one of them has fractions of "
            "years, so that what is calibrated is about half a year off (dataset.label=whole leaves fractions out)"
        )


def _warn_of_rows_learnt_from(settings: Evaluation, rows: VectorSet, paths: Sequence[Path], config: Any) -> None:
    """Warn where a run of the model may have learnt from faces to calibrate on, or was stopped early by them."""
    calibrate = settings.calibrate
    if calibrate.path is None and calibrate.part == "validation":
        log.warning(
            "calibrated on the part validation, by which early stopping chose the model, or weights of a stack were "
            "fitted: its errors there are a little too small, and so are intervals (split.calibration_per_age makes a "
            "part of its own)"
        )
    data: Mapping[str, Any] = config if calibrate.path is None else {"dataset": {"path": calibrate.path}}

    def may_have_learnt(run: RunFolder) -> bool:
        return is_of_same_data(data, run)

    strangers = paths if calibrate.path else [p for p in paths if not is_of_same_split(config, RunFolder(p.parent))]
    warn_of_rows_seen(rows, strangers, may_have_learnt)


def _warn_of_persons_on_both_sides(rows: VectorSet, judged: VectorSet) -> None:
    if persons := set(rows.subjects) & set(judged.subjects) - {""}:
        log.warning("%s with faces both to calibrate on and to judge, which flatters", counted(len(persons), "person"))


def _digests(vs: VectorSet) -> set[str]:
    return {hashlib.blake2b(vector.data, digest_size=DIGEST // 2).hexdigest() for vector in vs.vectors}

"""The model of a case: found by a path, opened, and checked to fit the vectors before any file is looked into."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vec2uage.base.arguments import option
from vec2uage.base.encoder import check
from vec2uage.base.errors import UserError
from vec2uage.case.predict_settings import AskedModel
from vec2uage.case.predictor import Predictor
from vec2uage.evaluation import ensemble, reference, statement
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.minors import boundary
from vec2uage.training.calibrated import Calibrated, as_saved
from vec2uage.training.learners.registry import READERS

log = logging.getLogger(__name__)

DEFAULT = "outputs/model.safetensors"
"""The checkpoint of conf/predict.yaml. Nothing lies there until one has trained a model: weights that were trained on
photographs of people may not be handed on, and of generated vectors nothing is learnt about faces."""
_PREPARED = "dataset=prepared dataset.path=outputs/prepared/utkface"
_HOW_TO_MAKE_ONE = (
    f"python -m vec2uage.train {_PREPARED} head=gaussian hydra.run.dir=outputs/runs/faces",
    f"python -m vec2uage.evaluate checkpoint=outputs/runs/faces {_PREPARED} part=test statement=true save_as={DEFAULT}",
)


def open_predictor(asked: AskedModel, encoder: str, dimension: int) -> Predictor:
    """Open the model that is asked for vectors of `dimension` numbers of an encoder, with its statement and reference.

    Raises UserError where there is no model, or one without a statement where that is required, or it is none for such
    vectors: by its own encoder or by its calibration's.
    """
    if asked.checkpoint == DEFAULT and not Path(DEFAULT).exists():
        raise UserError(
            f"{DEFAULT}: no such file (checkpoint), and no model comes with vec2uage (docs/predict.md). Of photographs "
            "whose ages are known, prepared with detector=yunet crop=points 'split.age_range=[1,40]', these make one:",
            _HOW_TO_MAKE_ONE,
        )
    paths = ensemble.find(asked.checkpoint, asked.ensemble.top, asked.ensemble.monitor)
    named = ensemble.described(paths)
    _refuse_foreign(paths)
    model = ensemble.open_ensemble(paths, Foreign(normalization="none", encoder=None), asked.trust_code)
    calibrated = as_saved(model, named)
    if model.dimension != dimension:
        raise UserError(
            f"{named} takes vectors of {model.dimension} numbers, but those of the case have {dimension}: take the "
            "embedder of the vectors that the model was trained on"
        )
    _check_encoder(calibrated, encoder, asked.encoder_mismatch == "allow")
    stated = statement.open_statement(paths, calibrated.digest, required=asked.statement == "required")
    return Predictor(
        calibrated=calibrated,
        digest=calibrated.digest,
        boundary=_boundary(calibrated, stated),
        statement=stated,
        reference=None if stated is None or stated.reference is None else _reference(paths, stated.reference),
    )


def _reference(paths: Sequence[Path], sha256: str) -> reference.Reference:
    return reference.open_reference(reference.find(statement.find(paths)), sha256)


def _refuse_foreign(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix not in READERS:
            raise UserError(
                f"{path}: no model of vec2uage, so that nobody knows how far it is off: evaluate and save it as one by "
                f"python -m vec2uage.evaluate {option('checkpoint', path)} statement=true save_as=model.safetensors"
            )


def _check_encoder(calibrated: Calibrated, encoder: str, allow: bool) -> None:
    advice = (
        "find, cut out and embed faces as the model's were (detector, crop, embedder), or set encoder_mismatch=allow "
        "(docs/faces.md)"
    )
    check(calibrated.model.encoder, encoder, ("the model", "the case"), advice, allow=allow)
    calibration = calibrated.calibration
    if calibration is None:
        return
    if calibration.fitted is not None and calibration.fitted.columns:
        raise UserError(
            f"the model's calibration goes by {' and '.join(calibration.fitted.columns)}, which nobody knows of the "
            "faces of a case: calibrate it anew without calibrate.columns"
        )
    if calibration.tta:
        raise UserError(
            f"the model's calibration was fitted to predictions with tta={calibration.tta}, which a case has not: "
            "calibrate it anew with tta=0"
        )
    if calibration.encoder != calibrated.model.encoder:
        names = ("the model's calibration", "the case")
        check(calibration.encoder, encoder, names, advice, allow=allow)


def _boundary(calibrated: Calibrated, stated: statement.Statement | None) -> float:
    """Return the line between minors and adults on the scale of ages that the model has learnt."""
    if calibrated.calibration is not None:
        return calibrated.calibration.boundary
    if stated is not None:
        return stated.data.boundary
    log.warning(
        "nobody has said whether the model has learnt whole years: P(age < 18) is as if it had not, and too high by up "
        "to what half a year makes"
    )
    return boundary(np.array([0.5]))

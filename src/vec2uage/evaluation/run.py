"""One evaluation from settings to files: predictions, tables, figures and evaluation.json."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vec2uage.base.arguments import shown
from vec2uage.base.atomic import write_json
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import code_fingerprint, provenance
from vec2uage.calibration import recall
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.evaluation.evaluate_settings import Evaluation
from vec2uage.evaluation.judgement import judge
from vec2uage.predictions.base import Prediction
from vec2uage.runs.folder import RunFolder

AugmentedVectors = Callable[[Evaluation, VectorSet], Float32[np.ndarray, "N K D"]]
"""Returns the vectors of `tta` (K) augmented faces for each of some rows (`augmentation.tta.augmented_vectors`)."""


def evaluate(
    settings: Evaluation, folder: Path, asked: Mapping[str, object], augmented_vectors: AugmentedVectors
) -> str:
    """Predict the rows that the settings name, write what comes of it into `folder`, and return it for people.

    With `tta`, a prediction is the mean of those of the face and of its augmented selves (`augmented_vectors`).
    `asked` (configuration and command) goes into evaluation.json, which is written last. Raises UserError for a model
    or rows that cannot be read or do not fit each other, for a model that gives no number, and where it cannot be
    calibrated or saved.
    """
    from vec2uage.evaluation import ensemble  # torch comes with these: a wrong option is told before
    from vec2uage.evaluation import model as models
    from vec2uage.evaluation.calibrate import calibrate, columns_of
    from vec2uage.evaluation.make_statement import Found, check_states, write_statement
    from vec2uage.evaluation.rows import is_of_same_data, judged_rows, trained_rows

    files = RunFolder(folder)
    if files.result.exists():
        raise UserError(f"{folder} holds a run of training: set hydra.run.dir to another folder")
    paths = ensemble.find(settings.checkpoint, settings.ensemble.top, settings.ensemble.monitor)
    model = ensemble.open_ensemble(paths, settings.foreign, settings.trust_code)
    models.check_saveable(model, paths, settings.save_as)
    named = ensemble.described(paths)
    config: Any = asked.get("config")

    def predict(vs: VectorSet) -> Prediction:
        models.check_fit(model, vs, paths[0], settings.encoder_mismatch)
        prediction = models.predict(model, vs.vectors, augmented_vectors(settings, vs) if settings.tta else None)
        has_numbers = np.all([np.isfinite(column) for column in prediction.columns().values()], axis=0)
        if count := int((~has_numbers).sum()):
            raise UserError(f"{named} gives no number for {count:,} of {len(vs):,} faces: its training diverged")
        return prediction

    vs = judged_rows(settings, paths)
    ages = needed_ages(vs, "an evaluation")
    seen = ensemble.warn_of_rows_seen(vs, paths, partial(is_of_same_data, config))
    calibrated = calibrate(settings, model, paths, vs, predict, config)
    if settings.statement:
        check_states(calibrated, settings.save_as is not None)
    own = predict(vs)
    prediction = calibrated(own, columns_of(vs))
    fitted, flagged = calibrated.calibration, calibrated.flagged(own)
    flagged_count = None if flagged is None else recall.count(ages, flagged)
    with np.errstate(over="ignore"):
        judgement = judge(vs, prediction, settings.cs)
    if not np.isfinite([judgement.scores.overall[name] for name in ("mae", "rmse")]).all():
        raise UserError(f"{named} is so far off that its errors cannot be averaged: its training diverged")
    if settings.save_as is not None:
        calibrated.save(Path(settings.save_as))

    (folder / "evaluation.json").unlink(missing_ok=True)  # it would speak of other predictions
    files.write_predictions(vs.names, vs.subjects, ages, prediction, flagged)
    judgement.write(folder)
    sha256 = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    write_json(
        folder / "evaluation.json",
        {
            "checkpoint": str(paths[0]) if len(paths) == 1 else list(map(str, paths)),
            "checkpoint_sha256": sha256[0] if len(paths) == 1 else sha256,
            "calibration": None if fitted is None else fitted.about(),
            "flagged": None if flagged_count is None else asdict(flagged_count),
            "part": settings.part,
            "tta": settings.tta,
            **judgement.to_json(),
            "model_encoder": model.encoder,
            "vectors_encoder": vs.encoder,
            "data_fingerprint": vs.fingerprint(),
            **asked,
            "code": code_fingerprint(),
            "provenance": provenance(),
        },
    )
    said = [judgement.text()]
    if fitted is not None:
        said.append(fitted.text())
    if flagged_count is not None:
        said.append(f"of the faces judged here are flagged: {flagged_count.text()}")
    if settings.statement:
        found = Found(calibrated, vs, judgement, flagged_count, trained_rows(settings, paths, config), len(seen))
        stated = paths if settings.save_as is None else [Path(settings.save_as)]
        page = write_statement(found, stated, settings.part, config, str(asked.get("command", "")))
        said.append(f"what the model is worth is stated beside it: {shown(page)}")
    return "\n\n".join(said)

"""One evaluation from settings to files: predictions.csv, predictions.png and evaluation.json."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float32

from vec2uage.base.atomic import replacing, write_json
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import code_fingerprint, provenance
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import divided
from vec2uage.data.parts import UNDIVIDED, part_of, relabelled
from vec2uage.data.splits import Split
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.evaluation.evaluate_settings import Evaluation
from vec2uage.evaluation.scores import Scores, score
from vec2uage.runs.folder import RunFolder

AugmentedVectors = Callable[[Evaluation, VectorSet], Float32[np.ndarray, "N K D"]]
"""Returns the vectors of `tta` (K) augmented faces for each of some rows (`augmentation.tta.augmented_vectors`)."""


def evaluate(
    settings: Evaluation, folder: Path, asked: Mapping[str, object], augmented_vectors: AugmentedVectors
) -> Scores:
    """Predict the rows that the settings name, and write predictions, figure and scores into `folder`, the scores last.

    With `tta`, a prediction is the mean of those of the face and of its augmented selves (`augmented_vectors`).
    `asked` (configuration and command) goes into evaluation.json. Raises UserError for a model or rows that cannot be
    read or do not fit each other, and for a model that gives no number.
    """
    from vec2uage.evaluation import ensemble
    from vec2uage.evaluation import model as models  # torch comes with it: a wrong option is told before
    from vec2uage.evaluation.plots import plot

    files = RunFolder(folder)
    if files.result.exists():
        raise UserError(f"{folder} holds a run of training: set hydra.run.dir to another folder")
    path = models.find(settings.checkpoint)
    model = models.open_model(path, settings.foreign, settings.trust_code)
    needs_seed = settings.part != "all" and settings.split.is_per_run
    vs = rows(settings.dataset, settings.split, settings.part, models.run_seed(path) if needs_seed else None)
    ages = needed_ages(vs, "an evaluation")
    models.check_fit(model, vs, path, settings.encoder_mismatch)
    ensemble.warn_of_rows_seen(vs, [path], partial(is_of_same_data, asked.get("config")))
    selves = augmented_vectors(settings, vs) if settings.tta else None
    prediction = models.predict(model, vs.vectors, selves)
    has_numbers = np.all([np.isfinite(column) for column in prediction.columns().values()], axis=0)
    if count := int((~has_numbers).sum()):
        raise UserError(f"{path} gives no number for {count:,} of {len(vs):,} faces: its training diverged")
    with np.errstate(over="ignore"):
        scores = score(ages, prediction, settings.cs)
    if not np.isfinite([*scores.overall.values()]).all():
        raise UserError(f"{path} is so far off that its errors cannot be averaged: its training diverged")

    (folder / "evaluation.json").unlink(missing_ok=True)  # it would speak of other predictions
    files.write_predictions(vs.names, vs.subjects, ages, prediction)
    with replacing(folder / "predictions.png") as temporary:
        plot(ages, prediction, scores).savefig(temporary, format="png")
    write_json(
        folder / "evaluation.json",
        {
            "checkpoint": str(path),
            "checkpoint_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "part": settings.part,
            "tta": settings.tta,
            "n": scores.n,
            "scores": scores.overall,
            "cs": {f"{k:g}": share for k, share in scores.cs},
            "per_age": [asdict(of_age) for of_age in scores.per_age],
            "model_encoder": model.encoder,
            "vectors_encoder": vs.encoder,
            "data_fingerprint": vs.fingerprint(),
            **asked,
            "code": code_fingerprint(),
            "provenance": provenance(),
        },
    )
    return scores


def is_of_same_data(config: Any, run: RunFolder) -> bool:
    """Tell whether a configuration has the dataset that a run's config.yaml names, or a file of its folder."""
    try:
        own = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        one, other = ({**made["dataset"], "label": None} for made in (own, config))
    except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError):
        return False
    if not isinstance(one.get("path"), str) or not isinstance(other.get("path"), str):
        return one == other
    trained, given = Path(one["path"]).resolve(), Path(other["path"]).resolve()
    return given == trained or trained in given.parents or given in trained.parents


def rows(dataset: Dataset, split: Split, part: str, run_seed: int | None) -> VectorSet:
    """Return the rows to predict: all that the split takes from the dataset, or one of the parts that it makes.

    `run_seed` is the seed of the model's run, None if unknown. Raises UserError where the split depends on it, and
    where there are no rows.
    """
    if part == "all":
        return relabelled({UNDIVIDED: split.used(dataset.read())}, dataset.label)[UNDIVIDED]
    if run_seed is None and split.is_per_run:
        raise UserError(
            "split.seed=run, but no result.json of a run of vec2uage beside the checkpoint tells the seed: "
            "set split.seed to that seed"
        )
    return part_of(divided(dataset, split, split.seed_for(run_seed or 0)), part)

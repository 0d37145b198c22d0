"""The model of an evaluation: built from its file, and checked to fit the vectors."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vec2uage.base.csv_file import read_csv
from vec2uage.base.encoder import UNKNOWN, check
from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import VectorSet
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.mixture import pool
from vec2uage.runs.folder import RunFolder
from vec2uage.training import foreign_model
from vec2uage.training.learners.registry import READERS
from vec2uage.training.outcome import Model
from vec2uage.training.readers import open_file

log = logging.getLogger(__name__)


def open_model(path: Path, foreign: Foreign, trust_code: bool = False) -> Model:
    """Read a model; whatever has no suffix of `READERS` is a torch checkpoint, which `foreign` describes.

    A model or a head of the user's own class is built as the config.yaml beside the file says, which imports the module
    it names: only with `trust_code`. Raises UserError for a file that is damaged, not the one that the result.json
    beside it speaks of, of another kind, or cannot be built, and for options of `foreign` that have no effect on it.
    """
    reader = READERS.get(path.suffix)
    if reader is not None:
        if foreign.encoder is not None:
            raise UserError(
                f"{path} is a model of vec2uage and says itself what a foreign checkpoint does not: "
                "leave out foreign.encoder"
            )
        return open_file(reader, path, trust_code)
    return foreign_model.load(path, foreign.normalization, foreign.encoder or UNKNOWN)


def run_seed(path: Path) -> int | None:
    """Return the seed of the run whose folder a model lies in, None where no result of a run lies beside it.

    It is read from the result: with `seeds=unpaired` the run drew from another seed than config.yaml has.
    """
    folder = RunFolder(path.parent)
    return folder.read_result().seed if _is_own(path) and folder.result.is_file() else None


def check_fit(model: Model, vs: VectorSet, path: Path, mismatch: Literal["refuse", "allow"]) -> None:
    """Refuse vectors that the model cannot take or was not trained for; warn where nobody knows."""
    if model.dimension != vs.dimension:
        raise UserError(
            f"{path} takes vectors of {model.dimension} numbers, but those of the dataset have {vs.dimension}: "
            "use vectors of the encoder that the model was trained on"
        )
    advice = "take vectors that were prepared as the model's were, or set encoder_mismatch=allow"
    check(model.encoder, vs.encoder, ("the model", "the dataset"), advice, allow=mismatch == "allow")


def check_saveable(model: Model, paths: Sequence[Path], save_as: str | None) -> None:
    """Raise UserError where a model, read from `paths`, cannot be saved under a name that is given, and opened then."""
    if save_as is None:
        return
    if not save_as.endswith(model.suffix):
        raise UserError(f"save_as = {save_as}: a model of this type is saved in a file that ends in {model.suffix}")
    if Path(save_as).resolve() in [path.resolve() for path in paths]:
        raise UserError(f"save_as = {save_as}: that is the model to judge: name another file")
    for path in paths:
        reader = READERS.get(path.suffix)
        if reader is not None and (classes := reader.untrusted_classes(path)):
            raise UserError(
                f"save_as: {path} holds a {' and a '.join(classes.values())}, which can be built in its run folder only"
            )


def predict(
    model: Model, vectors: Float32[np.ndarray, "N D"], augmented: Float32[np.ndarray, "N K D"] | None
) -> Prediction:
    """Return what a model says of faces; where there are augmented selves of each, of all of them together."""
    prediction = model.predict(vectors)
    if augmented is None:
        return prediction
    return pool([prediction, *(model.predict(augmented[:, k]) for k in range(augmented.shape[1]))])


def rows_seen(vs: VectorSet, path: Path, is_of_same_data: bool = False) -> set[str]:
    """Return the names of rows that the model's run may have been trained on: those that are no test rows of it.

    There are none unless some of the rows are its test rows, or the dataset is that of the run.
    """
    file = RunFolder(path.parent).predictions
    if not _is_own(path) or not file.is_file():
        return set()
    try:
        own = {row.get("name") for row in read_csv(file)}
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read, so it is not known which rows the run was tested on: %s", file, error)
        return set()
    strange = set(vs.names) - own
    return strange if is_of_same_data or len(strange) < len(vs) else set()


def _is_own(path: Path) -> bool:
    return path.suffix in READERS

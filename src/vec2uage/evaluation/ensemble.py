"""Several models as one: found by a sweep, a glob or a list, and opened as an ensemble."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.data.vectorset import VectorSet
from vec2uage.evaluation import model as models
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.models import model_files
from vec2uage.training.monitor import badness
from vec2uage.training.outcome import Model

log = logging.getLogger(__name__)


def find(checkpoint: str | Sequence[str], top: int | None = None, monitor: str = "validation/mae") -> list[Path]:
    """Return the files of one or more models, each once, in the order they are given and of their runs.

    Each of `checkpoint` is a file, a run folder, a sweep folder, or a glob of such with `*`, `**` and `?`. What is
    named by itself is taken as it is; of sweeps and globs only the completed runs are, each once, and what is left out
    is told. With `top` those are taken that have the best scores `monitor` in their result.json. Raises UserError
    where nothing is found, a result.json is damaged, or there are not so many models or no such scores.
    """
    given = [checkpoint] if isinstance(checkpoint, str) else checkpoint
    found = model_files(given, "checkpoint")
    return found if top is None else _best(found, top, monitor)


def open_ensemble(paths: Sequence[Path], foreign: Foreign, trust_code: bool = False) -> Model:
    """Read models and make one of them, which says what all of them say together; one alone is opened as it is.

    Networks become one `NetworkModel`, which can be saved as one file. Raises UserError as `open_model` does, and with
    what differs where models do not fit together.
    """
    first, *others = (models.open_model(path, foreign, trust_code) for path in paths)
    if not others:
        return first
    for path, model in zip(paths, (first, *others), strict=True):
        if model.calibration is not None:
            raise UserError(f"{path} was calibrated by itself, and is no member of an ensemble: give those of its run")
        mine, its = (dict(each.traits()) for each in (first, model))
        for trait in mine | its:
            if mine.get(trait) != its.get(trait):
                raise UserError(
                    f"{paths[0]} and {path} do not make one ensemble: {trait} differs "
                    f"({mine.get(trait)} and {its.get(trait)}): name those that have the same by a list, or by a glob "
                    "such as checkpoint='outputs/sweeps/heads/*gaussian*'"
                )
    return first.joined(others)


def described(paths: Sequence[Path]) -> str:
    """Name the model of some files in a message."""
    return str(paths[0]) if len(paths) == 1 else f"the ensemble of {len(paths)} models from {common_folder(paths)}"


def common_folder(paths: Sequence[Path]) -> Path:
    """Return the folder that the files of a model have in common."""
    return Path(os.path.commonpath([path.parent for path in paths]))


def run_seed(paths: Sequence[Path]) -> int | None:
    """Return the seed that the runs of some models share, None if unknown; UserError where they have several."""
    seeds = list(dict.fromkeys(map(models.run_seed, paths)))
    if len(seeds) > 1:
        raise UserError(
            f"split.seed=run: the runs of {described(paths)} have {len(seeds)} seeds and as many splits, so that no "
            "part was kept from all of them: train runs of one split.seed, or evaluate each run alone"
        )
    return seeds[0]


def warn_of_rows_seen(vs: VectorSet, paths: Sequence[Path], is_of_same_data: Callable[[RunFolder], bool]) -> set[str]:
    """Return the names of rows that these models may have been trained on, and warn of them.

    They are those that are no test rows, if rows are of the data that a run was trained on: where some of them are its
    test rows, and where `is_of_same_data` tells so of the run's folder.
    """
    seen = {path: models.rows_seen(vs, path, is_of_same_data(RunFolder(path.parent))) for path in paths}
    runs = [path.parent for path, rows in seen.items() if rows]
    every = set().union(*seen.values())
    if runs:
        log.warning(
            "%s of %s rows are no test rows of the run in %s%s, which may have been trained on them: %s",
            f"{len(every):,}",
            f"{len(vs):,}",
            runs[0],
            f", or of {counted(len(runs) - 1, 'other run')} of the {len(paths)}" if len(runs) > 1 else "",
            "part=test with the run's own dataset options evaluates what it has not seen"
            if len(paths) == 1
            else "only part=test of runs that share their split is what an ensemble has not seen",
        )
    return every


def _best(found: Sequence[Path], top: int, monitor: str) -> list[Path]:
    if top > len(found):
        raise UserError(f"ensemble.top = {top}: there are only {counted(len(found), 'model')} (checkpoint)")
    places = {path: badness(monitor, {monitor: _score(path, monitor)}) for path in found}
    chosen = sorted(found, key=lambda path: places[path])[:top]
    return [path for path in found if path in chosen]


def _score(path: Path, monitor: str) -> float:
    folder = RunFolder(path.parent)
    scores = folder.read_result().scores if folder.result.is_file() and path == folder.model else {}
    if monitor not in scores:
        raise UserError(
            f"ensemble.top: {path} has no {monitor} in a result.json beside it: leave ensemble.top out, or set "
            "ensemble.monitor to a score that all runs have"
        )
    return scores[monitor]

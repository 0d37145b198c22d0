"""Several models as one: found by a sweep, a glob or a list, and opened as an ensemble."""

import glob
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.data.vectorset import VectorSet
from vec2uage.evaluation import model as models
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.runs.folder import MODEL_SUFFIXES, RunFolder
from vec2uage.runs.index import collect, repeats, repeats_text
from vec2uage.runs.result import RunResult
from vec2uage.runs.variants import stated_options
from vec2uage.training.monitor import badness
from vec2uage.training.outcome import Model

log = logging.getLogger(__name__)

_WILD = ("*", "?")


def find(checkpoint: str | Sequence[str], top: int | None = None, monitor: str = "validation/mae") -> list[Path]:
    """Return the files of one or more models, each once, in the order they are given and of their runs.

    Each of `checkpoint` is a file, a run folder, a sweep folder, or a glob of such with `*`, `**` and `?`. What is
    named by itself is taken as it is; of sweeps and globs only the completed runs are, each once, and what is left out
    is told. With `top` those are taken that have the best scores `monitor` in their result.json. Raises UserError
    where nothing is found, a result.json is damaged, or there are not so many models or no such scores.
    """
    given = [checkpoint] if isinstance(checkpoint, str) else checkpoint
    found = list(dict.fromkeys(path for text in given for path in _named(text)))
    if not found:
        raise UserError("checkpoint names no model: give a run folder, a sweep folder, or a file")
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


def _named(text: str) -> list[Path]:
    """Return the files of the models that one text names."""
    path = Path(text)
    if path.exists() or not any(wild in text for wild in _WILD):
        is_sweep = path.is_dir() and not RunFolder(path).model.is_file() and not RunFolder(path).config.is_file()
        return _completed([path], text) if is_sweep else [models.find(text)]
    # brackets stand in the names of runs: they are no wildcards
    matches = map(Path, sorted(glob.glob(text.replace("[", "[[]"), recursive=True)))  # noqa: PTH207 - may be absolute
    folders, files = [], []
    for match in matches:
        is_model = match.suffix in MODEL_SUFFIXES
        if match.is_dir() or (is_model and RunFolder(match.parent).config.is_file()):
            folders.append(match if match.is_dir() else match.parent)
        elif is_model:
            files.append(match)
    if not folders and not files:
        raise UserError(f"{text}: no model or folder has such a name (checkpoint)")
    return [*files, *(_completed(folders, text) if folders else ())]


def _completed(folders: Sequence[Path], text: str) -> list[Path]:
    """Return the models of all completed runs at or below some folders, each run once; tell what is left out."""
    runs: dict[Path, RunResult] = {}
    left_out: dict[Path, str] = {}
    for folder in folders:
        results, rejects = collect(folder)
        if rejects:
            raise UserError(f"{next(iter(rejects.values()))}: leave that run out, or train it again")
        for config in folder.rglob(RunFolder(folder).config.name):
            if not RunFolder(config.parent).result.exists():
                left_out[config.parent] = "not ended"
        runs |= {path: result for path, result in results.items() if result.status == "completed"}
        left_out |= {path: result.ending for path, result in results.items() if result.status != "completed"}
    if left_out:
        path, why = next(iter(left_out.items()))
        log.warning("%s left out of %s as not completed: %s (%s)", counted(len(left_out), "run"), text, path, why)
    if not runs:
        raise UserError(f"{text}: no completed run lies there (checkpoint): give a folder of vec2uage.train, or a file")
    paths = list(runs)
    again = repeats(list(runs.values()), list(map(stated_options, runs.values())))
    if again:
        log.warning(repeats_text([(str(paths[later]), str(paths[earlier])) for later, earlier in again.items()]))
    return [models.find(str(path)) for position, path in enumerate(paths) if position not in again]


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

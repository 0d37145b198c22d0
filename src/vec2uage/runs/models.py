"""The models of runs, found by what a user names: files, folders, and globs of them."""

import glob
import logging
from collections.abc import Sequence
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.runs.folder import MODEL_SUFFIXES, RunFolder
from vec2uage.runs.index import collect, repeats, repeats_text
from vec2uage.runs.result import RunResult
from vec2uage.runs.variants import stated_options

log = logging.getLogger(__name__)

_WILD = ("*", "?")


def model_files(given: Sequence[str], option: str, is_told: bool = True) -> list[Path]:
    """Return the files of models, each once, in the order they are given and of their runs.

    Each text is a file, a run folder, a sweep folder, or a glob of such with `*`, `**` and `?`. What is named by itself
    is taken as it is; of sweeps and globs only the completed runs are, each once, and what is left out is told, if it
    `is_told`. `option` is what messages call the texts. Raises UserError where nothing is found, or a result.json is
    damaged.
    """
    found = list(dict.fromkeys(path for text in given for path in _named(text, option, is_told)))
    if not found:
        raise UserError(f"{option} names no model: give a run folder, a sweep folder, or a file")
    return found


def model_file(text: str, option: str) -> Path:
    """Return the file of a model, which is given as such or as its run folder; UserError where there is none."""
    path = Path(text)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder ({option})")
    if not path.is_dir():
        return path
    file = RunFolder(path).model
    if not file.is_file():
        raise UserError(f"{path}: no {file.name} in this folder ({option}): give a folder of vec2uage.train, or a file")
    return file


def _named(text: str, option: str, is_told: bool) -> list[Path]:
    """Return the files of the models that one text names."""
    path = Path(text)
    if path.exists() or not any(wild in text for wild in _WILD):
        is_sweep = path.is_dir() and not RunFolder(path).model.is_file() and not RunFolder(path).config.is_file()
        return _completed([path], text, option, is_told) if is_sweep else [model_file(text, option)]
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
        raise UserError(f"{text}: no model or folder has such a name ({option})")
    return [*files, *(_completed(folders, text, option, is_told) if folders else ())]


def _completed(folders: Sequence[Path], text: str, option: str, is_told: bool) -> list[Path]:
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
    if left_out and is_told:
        path, why = next(iter(left_out.items()))
        log.warning("%s left out of %s as not completed: %s (%s)", counted(len(left_out), "run"), text, path, why)
    if not runs:
        raise UserError(f"{text}: no completed run lies there ({option}): give a folder of vec2uage.train, or a file")
    paths = list(runs)
    again = repeats(list(runs.values()), list(map(stated_options, runs.values())))
    if again and is_told:
        log.warning(repeats_text([(str(paths[later]), str(paths[earlier])) for later, earlier in again.items()]))
    return [model_file(str(path), option) for position, path in enumerate(paths) if position not in again]

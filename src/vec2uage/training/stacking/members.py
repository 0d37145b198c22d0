"""The members of a stack: found, whole as their runs wrote them, and of the stack's own split and vectors."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.data.parts import Parts
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.models import model_files
from vec2uage.training.completed_run import CompletedRun, check_data, check_encoder, split_seed
from vec2uage.training.readers import RUN_READERS, configured_in, open_file
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stacking.model import ModelFile
from vec2uage.training.stacking.options import Stacking

_OPTION = "model.members"


def completed_runs(own: RunSettings, is_told: bool = False) -> list[CompletedRun]:
    """Return the runs that the stack of a run names, each once; their models are not read.

    Of sweeps and globs those are taken that divide their rows with the same seed as this run; what else is left out is
    told, if it `is_told`. Raises UserError where nothing is found, and for what is no completed run, or no model that
    can be a member.
    """
    stacking: Stacking = own.model.build()
    found: dict[Path, CompletedRun] = {}  # by where they lie: one run can be named in several ways
    for text in stacking.members:
        runs = [_completed(path) for path in model_files([text], _OPTION, is_told)]
        is_named = Path(text) in (runs[0].path, runs[0].path.parent)
        of_split = [run for run in runs if is_named or split_seed(run, stacking.trust_code) == own.split_seed]
        if not of_split:
            raise UserError(f"{text} holds no completed run of split.seed={own.split_seed} ({_OPTION})")
        for run in of_split:
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def _completed(path: Path) -> CompletedRun:
    folder = RunFolder(path.parent)
    if path.suffix not in RUN_READERS:
        raise UserError(
            f"{path} is no member of a stack ({_OPTION}): give runs of networks or of regressors; of a stack, those "
            "that it is made of"
        )
    if path.name != folder.model.name or not folder.result.is_file():
        raise UserError(f"{path} lies in no folder of a run that has ended ({_OPTION}): nobody knows what it has seen")
    result = folder.read_result()
    if result.status != "completed" or path.name not in result.files:
        raise UserError(f"{path.parent} is no completed run but {result.ending} ({_OPTION}): leave it out")
    return CompletedRun(path, result)


def open_members(own: RunSettings, parts: Parts) -> list[tuple[CompletedRun, ModelFile]]:
    """Read the models of a stack, in the order of their runs.

    `own` are the settings of the stack's run, and `parts` its data. Raises UserError, besides what `completed_runs`
    does, for a model that is not as its run wrote it, or of vectors of another encoder, or that may have
    seen faces which this stack keeps from training.
    """
    stacking: Stacking = own.model.build()
    found = []
    for run in completed_runs(own, is_told=True):
        if not run.folder.is_as_written(run.path, run.result):
            raise UserError(f"{run.path} has changed since its run ended ({_OPTION}): train that run again")
        check_data(run, stacking.trust_code, parts, _OPTION)
        reader = RUN_READERS[run.path.suffix]
        model = open_file(reader, run.path, stacking.trust_code)
        check_encoder(run, model.encoder, parts, _OPTION)
        groups = reader.untrusted_classes(run.path)
        config = configured_in(run.folder, stacking.trust_code).config if groups else {}
        described = {group: config[group] for group in groups} or None
        found.append((run, ModelFile(run.path.read_bytes(), run.path.suffix, model, described)))
    return found


def grouped(found: Sequence[tuple[CompletedRun, ModelFile]]) -> list[list[tuple[CompletedRun, ModelFile]]]:
    """Return the runs in groups that differ in nothing but their seed: what they say counts as that of one member."""
    groups: dict[str, list[tuple[CompletedRun, ModelFile]]] = {}
    for run, file in found:
        config = _without_seed(run.folder.read_config())
        key = json.dumps([config, dict(file.model.traits())], sort_keys=True, default=str)
        groups.setdefault(key, []).append((run, file))
    return list(groups.values())


def _without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    idle = ("seed", *EXECUTION_OPTIONS)
    kept = {key: value for key, value in config.items() if key not in idle}
    trainer = config.get("trainer")
    if isinstance(trainer, Mapping):
        kept["trainer"] = {key: value for key, value in trainer.items() if f"trainer.{key}" not in idle}
    return kept

"""The members of a stack: found, whole as their runs wrote them, and of the stack's own split and vectors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.config.trust import check_trusted
from vec2uage.config.validate import check_options, options_of, refuse
from vec2uage.data.loading import load_parts
from vec2uage.data.parts import Parts, fingerprint
from vec2uage.data.splits import Split
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.models import model_files
from vec2uage.runs.result import RunResult
from vec2uage.training.readers import RUN_READERS, configured_in, open_file
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stacking.model import ModelFile
from vec2uage.training.stacking.options import Stacking

_OPTION = "model.members"
_OF_DATA = ("dataset", "split", "augmentation")


@dataclass(frozen=True)
class CompletedRun:
    """A run whose model a stack can take, and what its result.json says."""

    path: Path
    """Of its model."""
    result: RunResult

    @property
    def folder(self) -> RunFolder:
        """Where it lies."""
        return RunFolder(self.path.parent)

    @property
    def sha256(self) -> str:
        """Of its model's file."""
        return self.result.files[self.path.name]


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
        of_split = [run for run in runs if is_named or _split_seed(run, stacking.trust_code) == own.split_seed]
        if not of_split:
            raise UserError(f"{text} holds no completed run of split.seed={own.split_seed} ({_OPTION})")
        for run in of_split:
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def _split_seed(run: CompletedRun, trust_code: bool) -> int:
    """Return the seed with which a run divided its rows."""
    split: Split = _data_settings(run, trust_code)["split"]
    return split.seed_for(run.result.seed)


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
        _check_split(run, stacking.trust_code, parts)
        reader = RUN_READERS[run.path.suffix]
        model = open_file(reader, run.path, stacking.trust_code)
        groups = reader.untrusted_classes(run.path)
        config = configured_in(run.folder, stacking.trust_code).config if groups else {}
        described = {group: config[group] for group in groups} or None
        found.append((run, ModelFile(run.path.read_bytes(), run.path.suffix, model, described)))
    return found


def _data_settings(run: CompletedRun, trust_code: bool) -> dict[str, Any]:
    """Return the settings that a run's data come of; UserError where its configuration does not tell."""
    sha256 = run.result.files.get(run.folder.config.name, "")
    return _read_data_settings(run.folder, sha256, trust_code)


@lru_cache(maxsize=4096)  # reading YAML takes some milliseconds a run
def _read_data_settings(folder: RunFolder, sha256: str, trust_code: bool) -> dict[str, Any]:
    config, where = folder.read_config(), str(folder.config)
    plain = {name: config.get(name) for name in _OF_DATA}
    check_trusted(list(plain.values()), where, trust_code)
    problems: list[str] = []
    annotations = {name: annotation for name, annotation in options_of(RunSettings).items() if name in _OF_DATA}
    settings = check_options(annotations, plain, problems)
    refuse([f"{where}: {problem}" for problem in problems])
    return settings


def _check_split(run: CompletedRun, trust_code: bool, parts: Parts) -> None:
    """Raise UserError unless a run has kept from training just the faces that the stack keeps, part by part."""
    theirs = load_parts(**_data_settings(run, trust_code), run_seed=run.result.seed)
    encoders = theirs["train"].encoder, parts["train"].encoder
    if encoders[0] != encoders[1]:
        raise UserError(
            f"{run.path.parent} was trained on vectors of another encoder ({_OPTION}): {encoders[0]}, and not "
            f"{encoders[1]} as this run's dataset has"
        )
    for name in parts:
        if name != "train" and (name not in theirs or theirs[name].fingerprint() != parts[name].fingerprint()):
            raise UserError(
                f"{run.path.parent} was trained on other data or another split ({_OPTION}): its {name} part is not "
                "that of this run, so that it may have learnt from faces which are to be predicted: give runs of the "
                "same dataset and split"
            )
    if run.result.data_fingerprint != fingerprint(theirs):
        raise UserError(
            f"{run.path.parent}: its data have changed since it was trained ({_OPTION}): train that run again"
        )


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

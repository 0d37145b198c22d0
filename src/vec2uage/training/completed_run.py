"""A completed run that another run is made of, and that it saw none of the faces which that one holds out."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from vec2uage.base.encoder import differences
from vec2uage.base.errors import UserError
from vec2uage.config.trust import check_trusted
from vec2uage.config.validate import check_options, options_of, refuse
from vec2uage.data.loading import load_parts
from vec2uage.data.parts import Parts, fingerprint
from vec2uage.data.splits import Split
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.training.run_settings import RunSettings

_OF_DATA = ("dataset", "split", "augmentation")


@dataclass(frozen=True)
class CompletedRun:
    """A run whose model another run takes, and what its result.json says."""

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


def split_seed(run: CompletedRun, trust_code: bool) -> int:
    """Return the seed with which a run divided its rows."""
    split: Split = data_settings(run, trust_code)["split"]
    return split.seed_for(run.result.seed)


def data_settings(run: CompletedRun, trust_code: bool) -> dict[str, Any]:
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


def check_data(run: CompletedRun, trust_code: bool, parts: Parts, option: str) -> None:
    """Raise UserError unless a run has kept from training just the faces that another run with `parts` keeps.

    `option` is what named the run.
    """
    theirs = load_parts(**data_settings(run, trust_code), run_seed=run.result.seed)
    encoders = theirs["train"].encoder, parts["train"].encoder
    if encoders[0] != encoders[1]:
        raise UserError(
            f"{run.path.parent} was trained on vectors of another encoder ({option}): {encoders[0]}, and not "
            f"{encoders[1]} as this run's dataset has"
        )
    for name in parts:
        if name != "train" and (name not in theirs or theirs[name].fingerprint() != parts[name].fingerprint()):
            raise UserError(
                f"{run.path.parent} was trained on other data or another split ({option}): its {name} part is not "
                "that of this run, so that it may have learnt from faces which are to be predicted: give runs of the "
                "same dataset and split"
            )
    if run.result.data_fingerprint != fingerprint(theirs):
        raise UserError(
            f"{run.path.parent}: its data have changed since it was trained ({option}): train that run again"
        )


def check_encoder(run: CompletedRun, encoder: str, parts: Parts, option: str) -> None:
    """Raise UserError unless a run's model, whose file says `encoder`, is for the vectors of `parts`.

    It is not where the run has tuned the encoder of the vectors that it began with (`model=end_to_end`).
    """
    here = parts["train"].encoder
    if any(difference.matters for difference in differences(encoder, here)):
        raise UserError(
            f"{run.path} is a model for vectors of another encoder ({option}): {encoder}, and not {here} as this run's "
            "dataset has"
        )

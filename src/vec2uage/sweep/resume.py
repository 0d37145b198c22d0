"""What earlier runs have left in the folders of a sweep's jobs: what is kept, what goes on, and what is refused.

Between composing jobs and training them: `match_existing` finds each job's folder, `prepare_folders` makes it ready.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from vec2uage.base.access import make_folder
from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.base.manifest import differences
from vec2uage.base.provenance import code_fingerprint
from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.config.validate import to_container
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import collect
from vec2uage.runs.metrics_log import metrics_digest
from vec2uage.runs.result import Damaged, RunResult
from vec2uage.sweep.compose import ComposedJob
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.options import Resume
from vec2uage.sweep.plan import devices_of
from vec2uage.training import checkpoint
from vec2uage.training.data import load
from vec2uage.training.learners.registry import learner_of

log = logging.getLogger(__name__)

ENDED = ("completed", "diverged")
_EARLIER_CHECKPOINT = "state.safetensors"  # of versions that this one cannot read


class FolderConflict(UserError):
    """A folder cannot be used, or holds something that was made otherwise; nothing was touched."""


def match_existing(composed: Sequence[ComposedJob], sweep: Path) -> list[ComposedJob]:
    """Return the jobs of a sweep, each in the folder that holds its run already, if there is one.

    Runs are found by their configuration: names of folders begin with a job's number, and a grid that has grown
    numbers its jobs anew.
    """
    holding: dict[str, list[Path]] = defaultdict(list)
    for path, result in (collect(sweep)[0] if sweep.is_dir() else {}).items():
        holding[result.config_hash].append(path)
    own = {item.job.folder for item in composed}

    def folder_of(job: Job) -> Path:
        known = [path for path in holding[job.settings.config_hash] if path.parent == job.folder.parent]
        elsewhere = [path for path in known if path not in own]
        return elsewhere[0] if elsewhere and job.folder not in known else job.folder

    return [replace(item, job=replace(item.job, folder=folder_of(item.job))) for item in composed]


def has_ended(job: Job) -> bool:
    """Tell whether a job's folder holds, whole, a run that has ended, whatever it was made with."""
    try:
        result = _read_result(RunFolder(job.folder))
    except UserError:
        return False
    return result is not None and result.status in ENDED


def _read_result(folder: RunFolder) -> RunResult | None:
    """Return the result that lies in a folder, if one does; Damaged where the files of an ended run are not its own."""
    if not folder.result.exists():
        return None
    result = folder.read_result()
    if result.status in (*ENDED, "pruned") and (changed := folder.changed_files(result)):
        raise Damaged(f"{folder.path / changed[0]}: gone, or changed since the run ended")
    return result


def has_paused(header: checkpoint.Header, until: int | None) -> bool:
    """Tell whether a run with this checkpoint has had all the epochs `until` which it is to train for now."""
    return until is not None and header.epochs >= until


def is_kept(result: RunResult, until: int | None) -> bool:
    """Tell whether a run with this result needs no more training: not even to epoch `until`, where it was pruned."""
    return result.status in ENDED or (result.status == "pruned" and until is not None and result.epochs >= until)


def resumable(jobs: Sequence[Job]) -> dict[Job, checkpoint.Header]:
    """Return the jobs that go on from a checkpoint, and what it holds; one that cannot be used counts as none."""
    found = {}
    for job in jobs:
        folder = RunFolder(job.folder)
        if folder.checkpoint.exists():
            with suppress(UserError):
                found[job] = _read_checkpoint(folder)
    return found


def _read_checkpoint(folder: RunFolder) -> checkpoint.Header:
    """Return what the checkpoint in a folder is of; UserError where a run cannot go on from it."""
    header = checkpoint.read_header(folder.checkpoint)
    if header.metrics and header.metrics != metrics_digest(folder.metrics, header.epochs):
        trained = counted(header.epochs, "epoch")
        raise UserError(f"{folder.metrics} is not as it was after the {trained} of its checkpoint: the run begins anew")
    return header


def prepare_folders(jobs: Mapping[Job, DictConfig], resume: Resume, until: int | None = None) -> dict[Job, RunResult]:
    """Return the results of jobs that have ended before, and make the folders of all others ready to be trained in.

    These then hold the job's configuration, and what its run goes on from. A run that was pruned has ended only for who
    asks for no more epochs than it had, `until`. Raises FolderConflict, before anything is touched, if a folder cannot
    be used or holds something made with another configuration, code or data (unless `resume` is "changed" or False),
    and names what differs; Busy if another command is writing to one.
    """
    new = [job.folder for job in jobs if not job.folder.exists()]
    try:
        found = {job: _look_into(job.folder, resume, until) for job in jobs}
        if resume is True:
            _refuse_changed(jobs, found)
    except Exception:
        for path in new:
            with suppress(OSError):
                path.rmdir()
        raise
    ended = {}
    for job, before in found.items():
        folder = RunFolder(job.folder)
        folder.clear_unfinished()
        if before.result is not None:
            ended[job] = before.result
            folder.checkpoint.unlink(missing_ok=True)
        elif before.header is not None and before.header.config_hash == job.settings.config_hash:
            folder.clear_end()
        else:
            folder.clear()
    for job in jobs:
        if job not in ended:
            _write_config(job, jobs[job])
    return ended


def _write_config(job: Job, cfg: DictConfig) -> None:
    # The C dumper where PyYAML has it: OmegaConf's own takes 10 ms a job.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    folder = RunFolder(job.folder)
    write_text(folder.config, yaml.dump(to_container(cfg), Dumper=dumper, sort_keys=False))
    write_text(folder.overrides, yaml.dump(list(job.settings.overrides), Dumper=dumper))


@dataclass(frozen=True)
class _Before:
    """What an earlier run has left in a folder: its result, if that is kept, and the header of its checkpoint."""

    result: RunResult | None = None
    header: checkpoint.Header | None = None

    @property
    def kept(self) -> RunResult | checkpoint.Header | None:
        """What would be used again, and so must have been made with the same settings."""
        return self.result if self.result is not None else self.header


def _look_into(path: Path, resume: Resume, until: int | None) -> _Before:
    try:
        make_folder(path)
    except (FileExistsError, NotADirectoryError):
        raise FolderConflict(f"{path} cannot be a run folder because a file is in the way") from None
    folder = RunFolder(path)
    if (blocked := folder.in_the_way()) is not None:
        raise FolderConflict(f"{blocked} is a folder, where a run has a file: move it away")
    folder.check_free()
    if resume is False:
        return _Before()
    try:
        result = _read_result(folder)
    except Damaged as error:
        log.warning("%s: this run is trained again", error)
        result = None
    except UserError as error:
        raise FolderConflict(
            f"{error}; without this folder its run is trained again, with resume=false all are"
        ) from None
    header = None
    if folder.checkpoint.exists():
        try:
            header = _read_checkpoint(folder)
        except UserError as error:
            log.warning("%s", error)
    if result is None and header is None and (path / _EARLIER_CHECKPOINT).exists():
        raise FolderConflict(
            f"{path} holds a run that an earlier version of vec2uage has begun and this one cannot go on with; "
            "resume=false trains anew"
        )
    return _Before(result if result is not None and is_kept(result, until) else None, header)


def _refuse_changed(jobs: Mapping[Job, DictConfig], found: Mapping[Job, _Before]) -> None:
    made = {job: before.kept for job, before in found.items() if before.kept is not None}
    changed = {job: kept for job, kept in made.items() if _is_changed(job, kept)}
    of_other_data = {} if changed else _of_other_data(made)
    of_other_models = {} if changed or of_other_data else _of_other_models(made)
    refused = changed or of_other_data or of_other_models
    if not refused:
        return
    job, kept = next(iter(refused.items()))
    what = []
    if job in of_other_data:
        what.append("on other data")
    if job in of_other_models:
        what.append("of other models (model.members, model.start)")
    if kept.config_hash != job.settings.config_hash:
        what.append(f"with another configuration ({_changed_options(job, jobs[job])})")
    if kept.code != code_fingerprint():
        what.append(f"by another version of vec2uage (code {kept.code}, now {code_fingerprint()})")
    others = len(refused) - 1
    raise FolderConflict(
        f"{job.folder} holds a run made {' and '.join(what)}"
        + (f", and so do{'es' * (others == 1)} {counted(others, 'other folder')}" if others else "")
        + "; resume=changed goes on all the same, resume=false trains anew"
    )


def _is_changed(job: Job, kept: RunResult | checkpoint.Header) -> bool:
    return (kept.config_hash, kept.code) != (job.settings.config_hash, code_fingerprint())


def _of_other_data(made: Mapping[Job, RunResult | checkpoint.Header]) -> dict[Job, RunResult | checkpoint.Header]:
    """Return the jobs whose data have changed, found out with one split of each dataset: all are cut from the same."""
    of_datasets: dict[tuple[Any, ...], list[Job]] = {}
    for job in made:
        of_datasets.setdefault((job.settings.dataset, job.settings.split, job.settings.augmentation), []).append(job)
    changed = []
    for members in of_datasets.values():
        settings = members[0].settings
        try:
            now = load(settings, devices_of(settings.trainer)[0]).fingerprint
        except (UserError, OSError):
            continue  # what cannot be loaded fails its own jobs, if they are still to be trained, with the reason
        if now != made[members[0]].data_fingerprint:
            changed += members
    return {job: made[job] for job in changed}


def _of_other_models(made: Mapping[Job, RunResult | checkpoint.Header]) -> dict[Job, RunResult | checkpoint.Header]:
    """Return the jobs whose results are of stacks of other models than those that they would be made of now."""
    changed: dict[Job, RunResult | checkpoint.Header] = {}
    for job, kept in made.items():
        if not isinstance(kept, RunResult) or not kept.members:
            continue
        with suppress(UserError):  # models that are gone are not needed any more
            if sorted(member.sha256 for member in kept.members) != learner_of(job.settings).made_of(job.settings):
                changed[job] = kept
    return changed


def _changed_options(job: Job, cfg: DictConfig) -> str:
    try:
        before = RunFolder(job.folder).read_config()
    except UserError:
        return f"its {RunFolder(job.folder).config.name} cannot be read"
    return differences(_flat(before), _flat(to_container(cfg)))


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return options by their dotted names, but for those that change no number."""
    flat: dict[str, Any] = {}
    for key, value in options.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return {name: value for name, value in flat.items() if name not in EXECUTION_OPTIONS}

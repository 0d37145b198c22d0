"""What earlier runs have left in the folders of a sweep's jobs: what is kept, what goes on, and what is refused."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from omegaconf import DictConfig

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.base.provenance import code_fingerprint
from vec2uage.config.differences import differences
from vec2uage.config.validate import check_value, refuse, to_container
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.plan import devices_of
from vec2uage.training import checkpoint
from vec2uage.training.data import load

log = logging.getLogger(__name__)

# The option `resume`: keep and go on if nothing has changed | train anew | keep and go on whatever has changed.
Resume = Literal[True, False, "changed"]
ENDED = ("completed", "diverged")


class Refused(UserError):
    """A folder cannot be used, or holds something that was made otherwise; nothing was touched."""


def resume_of(cfg: DictConfig) -> Resume:
    """Return the option `resume` of a composed configuration; UserError where it is wrong."""
    problems: list[str] = []
    resume: Resume = check_value(Resume, cfg.resume, "resume", problems)
    refuse(problems)
    return resume


def has_ended(job: Job) -> bool:
    """Tell whether a job's folder has the result of a run that has ended, whatever it was made with."""
    try:
        return RunFolder(job.folder).read_result().status in ENDED
    except UserError:
        return False


def settle(jobs: Mapping[Job, DictConfig], resume: Resume) -> dict[Job, RunResult]:
    """Return the results of jobs that have ended before, and make the folders of all others ready to be trained in.

    Raises Refused, before anything is touched, if a folder cannot be used or holds something made with another
    configuration, code or data (unless `resume` is "changed" or False), and names what differs; Busy if another command
    is writing to one.
    """
    new = [job.folder for job in jobs if not job.folder.exists()]
    try:
        found = {job: _look(job.folder, resume) for job in jobs}
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
        if before.result is not None and before.result.status in ENDED:
            ended[job] = before.result
            folder.checkpoint.unlink(missing_ok=True)
        elif before.header is not None and before.header.config_hash == job.settings.config_hash:
            folder.clear_end()
        else:
            folder.clear()
    return ended


@dataclass(frozen=True)
class _Before:
    """What an earlier run has left in a folder: its result and the header of its state, if any."""

    result: RunResult | None = None
    header: checkpoint.Header | None = None

    @property
    def kept(self) -> RunResult | checkpoint.Header | None:
        """What would be used again, and so must have been made with the same settings."""
        return self.result if self.result is not None and self.result.status in ENDED else self.header


def _look(path: Path, resume: Resume) -> _Before:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Refused(f"{path} cannot be a run folder because a file is in the way") from None
    folder = RunFolder(path)
    folder.check_free()
    if resume is False:
        return _Before()
    result, header = None, None
    if folder.result.exists():
        try:
            result = folder.read_result()
        except UserError as error:
            raise Refused(f"{error}; resume=false trains anew") from None
    if folder.checkpoint.exists():
        try:
            header = checkpoint.read_header(folder.checkpoint)
        except UserError as error:
            log.warning("%s", error)
    return _Before(result, header)


def _refuse_changed(jobs: Mapping[Job, DictConfig], found: Mapping[Job, _Before]) -> None:
    made = {job: before.kept for job, before in found.items() if before.kept is not None}
    changed = {job: kept for job, kept in made.items() if _is_changed(job, kept)}
    of_other_data = {} if changed else _of_other_data(made)
    if not changed and not of_other_data:
        return
    job, kept = next(iter((changed or of_other_data).items()))
    what = []
    if job in of_other_data:
        what.append("on other data")
    if kept.config_hash != job.settings.config_hash:
        what.append(f"with another configuration ({_changed_options(job, jobs[job])})")
    if kept.code != code_fingerprint():
        what.append(f"by another version of vec2uage (code {kept.code}, now {code_fingerprint()})")
    others = len(changed or of_other_data) - 1
    raise Refused(
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
        of_datasets.setdefault((job.settings.dataset, job.settings.augmentation), []).append(job)
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


def _changed_options(job: Job, cfg: DictConfig) -> str:
    try:
        before = yaml.safe_load(RunFolder(job.folder).config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        before = None
    if not isinstance(before, dict):
        return f"its {RunFolder(job.folder).config.name} cannot be read"
    return differences(_flat(before), _flat(to_container(cfg)))


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in options.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat

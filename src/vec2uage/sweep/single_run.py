"""One run: the job of `python -m vec2uage.train` without -m, and each job of a sweep that trains one by one."""

import logging
import shlex
from contextlib import nullcontext
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from vec2uage.base.arguments import shown
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.base.interrupt import INTERRUPTED
from vec2uage.base.lock import Busy
from vec2uage.config.command import Invocation, discard_unused
from vec2uage.data.parts import ALL_PARTS, PARTS
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.options import Resume, command_options
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import FolderConflict, prepare_folders
from vec2uage.training.profile import profiled
from vec2uage.training.run_settings import from_config

log = logging.getLogger(__name__)

_MOST_MEMBERS = 12  # of a stack of models that are printed


def run_single(invocation: Invocation) -> int:
    """Train one run and print its result, or the one that is there, or with `plan` what would be trained.

    Returns 0 if it completed, 130 if it was interrupted, 1 otherwise; raises UserError instead as a job of a sweep.
    """
    cfg, folder, in_sweep = invocation.cfg, invocation.folder, invocation.sweep is not None
    for group in ("search", "pruner") if not in_sweep else ():
        if group in HydraConfig.get().sweeper:
            raise UserError(f"{group} = ...: one run searches nothing: add -m hydra/sweeper=optuna, or leave it out")
    shared = list(HydraConfig.get().job.config.override_dirname.exclude_keys) if in_sweep else None
    job = Job(from_config(cfg, invocation.choices, invocation.overrides, shared), folder, invocation.sweep)
    options = command_options(cfg)
    if options.plan:
        try:
            print(preview([job], options.resume))
        finally:
            discard_unused(folder, with_log=True)
        return 0
    try:
        result = _train(job, invocation, options.resume)
    except (FolderConflict, Busy) as error:
        raise UserError(str(error)) from None  # of this job alone, and not of the sweep
    if in_sweep and result.status != "completed":
        raise UserError(f"{result.name}: {result.ending}")
    if not in_sweep:
        print(_result_text(result, folder))
    return {"completed": 0, "interrupted": INTERRUPTED}.get(result.status, 1)


def _train(job: Job, invocation: Invocation, resume: Resume) -> RunResult:
    """Train a run, or return the result that is there."""
    check_data([job], resume)
    ended = prepare_folders({job: invocation.cfg}, resume)
    if ended:
        log.info("finished before, nothing to do (resume=false trains anew)")
        return ended[job]
    with profiled(job.folder) if job.settings.trainer.profile else nullcontext():
        finished = train_jobs([job], invocation.line)
    if job in finished.errors:
        raise finished.errors[job]
    return finished.results[job]


def _members_text(result: RunResult) -> list[str]:
    """Return what is printed of the models that a run is made of, if several: those that count most, and how much."""
    members = sorted(result.members, key=lambda member: -member.weight) if len(result.members) > 1 else []
    lines = [f"{member.weight:23.3f}  {visible(member.path)}" for member in members[:_MOST_MEMBERS]]
    others = [f"{'':25}and {len(members) - _MOST_MEMBERS} more, see result.json"]
    return [*lines, *(others if len(members) > _MOST_MEMBERS else ())]


def _result_text(result: RunResult, folder: Path) -> str:
    """Return what is printed of a run that has ended; a model without epochs has neither losses nor a learning rate."""
    path = shown(folder)
    measured_parts = {*PARTS, *(name.partition("/")[0] for name in result.scores)}
    scored = sorted(measured_parts, key=lambda part: ([*ALL_PARTS, part].index(part), part))
    measured = [name for name in ("mae", "loss") if name == "mae" or result.lr is not None]
    heads, digits = {"mae": "MAE (years)", "loss": "loss"}, {"mae": 3, "loss": 4}
    training = [f"{result.seconds or 0:.1f} s"]
    if result.lr is not None:
        best = "no best epoch" if result.best_epoch is None else f"best epoch {result.best_epoch}"
        training = [f"{best} of 0-{result.epochs - 1}" if result.epochs else best, f"lr {result.lr:.6g}", *training]

    def cell(part: str, name: str) -> str:
        score = result.scores.get(f"{part}/{name}")
        return f"{'none' if score is None else format(score, f'.{digits[name]}f'):>11}"

    lines = [
        visible(f"{result.status}" + (f": {result.reason}" if result.reason else "")),
        f"{'':12}" + "".join(f"{heads[name]:>11}" for name in measured),
        *(f"{part:12}" + "".join(cell(part, name) for name in measured) for part in scored),
        *_members_text(result),
        ", ".join(training),
        f"run:     {path}",
    ]
    if result.lr is not None:
        lines.append(f"curves:  tensorboard --logdir {shlex.quote(str(path))}")
    return "\n".join(lines)

"""One run: the job of `python -m vec2uage.train` without -m, and each job of a sweep that trains one by one."""

import logging
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.options import command_line, command_options
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import FolderConflict, prepare_folders
from vec2uage.training.profile import profiled
from vec2uage.training.run_settings import from_config

log = logging.getLogger(__name__)


def run_single(cfg: DictConfig) -> None:
    """Train the run of `cfg` in Hydra's output folder and print its result, or show the result that is there.

    Ends the program with exit code 1 if the run did not complete; as a job of a sweep it raises instead.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        try:
            result = _train(cfg, folder)
        except (FolderConflict, Busy) as error:
            raise UserError(str(error)) from None  # of this job alone, and not of the sweep
        if result.status != "completed":
            raise UserError(f"{result.name}: {result.status}, {result.reason}")
        return
    try:
        result = _train(cfg, folder)
    except Exception as error:
        cli.discard_unused(folder, with_log=True)
        cli.end(error)  # here, as Hydra would put a line of its own before the sentence
    print(_result_text(result, folder))
    sys.exit({"completed": 0, "interrupted": cli.INTERRUPTED}.get(result.status, 1))


def _train(cfg: DictConfig, folder: Path) -> RunResult:
    """Train the run of `cfg` in `folder`, or return the result that is there."""
    hydra = HydraConfig.get()
    fixed = list(hydra.job.config.override_dirname.exclude_keys) if hydra.mode == RunMode.MULTIRUN else None
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    settings = from_config(cfg, choices, list(hydra.overrides.task), fixed)
    job, options = Job(settings, folder), command_options(cfg)
    if options.plan:
        print(preview([job], options.resume))
        cli.discard_unused(folder, with_log=True)
        sys.exit(0)
    check_data([job], options.resume)
    ended = prepare_folders({job: cfg}, options.resume)
    if ended:
        log.info("finished before, nothing to do (resume=false trains anew)")
        return ended[job]
    with profiled(folder) if settings.trainer.profile else nullcontext():
        finished = train_jobs([job], command_line())
    if job in finished.errors:
        raise finished.errors[job]
    return finished.results[job]


def _result_text(result: RunResult, folder: Path) -> str:
    def line(part: str) -> str:
        mae, loss = (result.scores.get(f"{part}/{name}") for name in ("mae", "loss"))
        return f"{part:12}" + ("    none" if mae is None or loss is None else f"{mae:8.3f}  {loss:10.4f}")

    shown = cli.shown(folder)
    best = "no best epoch" if result.best_epoch is None else f"best epoch {result.best_epoch} of 0-{result.epochs - 1}"
    lines = [
        f"{result.status}" + (f": {result.reason}" if result.reason else ""),
        f"{'':12}{'MAE (years)':>8}  {'loss':>7}",
        line("train"),
        line("validation"),
        line("test"),
        f"{best}, lr {result.lr}, {result.seconds or 0:.1f} s",
        f"run:     {shown}",
        f"curves:  tensorboard --logdir {shlex.quote(str(shown))}",
    ]
    return "\n".join(lines)

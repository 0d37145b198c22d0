"""Between Hydra and the engine: one run, and a whole sweep as stacks."""

import logging
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from vec2uage.base import cli
from vec2uage.base.atomic import remove_unfinished, write_text
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy, only_user_of
from vec2uage.config.validate import check_value, refuse, to_container
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import collect, write_sweep
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import Checked, check_data, check_fused
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.preview import preview
from vec2uage.sweep.resume import Refused, resume_of, settle
from vec2uage.sweep.summary import report
from vec2uage.training.record import describe
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
        except (Refused, Busy) as error:
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


def end_if_planned(checked: Sequence[Checked]) -> None:
    """Print the plan of a sweep and end the program, where that is all that was asked for."""
    resume = resume_of(checked[0].cfg)  # a wrong value is refused here, before anything is written
    if _wants_plan(checked[0].cfg):
        print(preview([item.job for item in checked], resume))
        sys.exit(0)


def launch_fused(
    context: HydraContext, task_function: TaskFunction, master: DictConfig, checked: Sequence[Checked]
) -> list[JobReturn]:
    """Train all jobs of a sweep as stacks; return Hydra's account of each."""
    setup_globals()
    configure_log(master.hydra.hydra_logging, master.hydra.verbose)
    executor = check_fused(master, checked)
    end_if_planned(checked)
    configs = {item.job: item.cfg for item in checked}
    ended = settle(configs, resume_of(checked[0].cfg))
    if ended:
        log.info("%d of %d runs have ended before and are kept", len(ended), len(checked))
    returns = []
    for item in checked:
        plain = to_container(item.cfg)
        job_return = JobReturn(list(item.overrides), OmegaConf.create(plain), item.cfg, working_dir=str(Path.cwd()))
        job_return.task_name = str(item.cfg.hydra.job.name)
        returns.append(job_return)
        context.callbacks.on_job_start(config=item.cfg, task_function=task_function)
        if item.job not in ended:
            _write_config(item.job.folder, plain, item.overrides)
    _write_pending(Path(master.hydra.sweep.dir), checked, ended)
    finished = executor.train([job for job in configs if job not in ended], command())
    for item, job_return in zip(checked, returns, strict=True):
        _account(job_return, finished.errors.get(item.job) or (ended | finished.results)[item.job])
    for job_return, item in zip(returns, checked, strict=True):
        context.callbacks.on_job_end(config=item.cfg, job_return=job_return)
    if finished.interrupted:
        raise KeyboardInterrupt
    return returns


@contextmanager
def sweeping(master: DictConfig) -> Iterator[None]:
    """Keep other sweeps out of a sweep's folder while its jobs are trained, and sum them up however that ends.

    The folder is left as it was where the sweep is refused by what lies there.
    """
    folder = Path(master.hydra.sweep.dir)
    try:
        with only_user_of(folder):
            for name in ("sweep.json", "sweep.csv"):
                remove_unfinished(folder / name)
            with _multirun_file(folder, master):
                yield
    except Refused:
        cli.discard_unused(folder)
        raise


@contextmanager
def _multirun_file(folder: Path, master: DictConfig) -> Iterator[None]:
    """Write multirun.yaml as Hydra's own sweeper does, and sum the sweep up in the end; neither if it is refused."""
    file = folder / "multirun.yaml"
    before = file.read_bytes() if file.is_file() else None
    OmegaConf.save(master, file)
    try:
        yield
    except (Refused, Busy):
        file.unlink()
        if before is not None:
            file.write_bytes(before)
        raise
    except BaseException:
        summarize(folder)
        raise
    summarize(folder)


def summarize(folder: Path) -> None:
    """Write sweep.json and sweep.csv and print the table of all runs below a sweep's folder, if there are any."""
    results, rejects = collect(folder)
    for path, reason in rejects.items():
        log.warning("%s left out: %s", path, reason)
    if not results:
        return
    runs = list(results.values())
    try:
        write_sweep(runs, folder)
    except OSError as error:
        log.warning("%s and sweep.csv could not be written: %s", folder / "sweep.json", error)
    print(report(runs, str(folder)))


def command() -> str:
    """Return the command line that is running, as one could type it again."""
    return shlex.join(["python", "-m", "vec2uage.train", *cli.typed()])


def _wants_plan(cfg: DictConfig) -> bool:
    problems: list[str] = []
    wanted = check_value(bool, cfg.plan, "plan", problems)
    refuse(problems)
    return bool(wanted)


def _write_pending(folder: Path, checked: Sequence[Checked], ended: Mapping[Job, RunResult]) -> None:
    """Name all jobs of a sweep in sweep.json before they are trained, so that a kill leaves none out."""
    jobs = [item.job for item in checked]
    given = command()
    pending = (describe(job.folder, job.settings, given, status="pending") for job in jobs if job not in ended)
    known = {result.name: result for result in [*collect(folder)[0].values(), *pending, *ended.values()]}
    write_sweep(list(known.values()), folder)


def _train(cfg: DictConfig, folder: Path) -> RunResult:
    """Train the run of `cfg` in `folder`, or return the result that is there."""
    hydra = HydraConfig.get()
    fixed = list(hydra.job.config.override_dirname.exclude_keys) if hydra.mode == RunMode.MULTIRUN else None
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    settings = from_config(cfg, choices, list(hydra.overrides.task), fixed)
    job, resume = Job(settings, folder), resume_of(cfg)
    if _wants_plan(cfg):
        print(preview([job], resume))
        cli.discard_unused(folder, with_log=True)
        sys.exit(0)
    check_data([job], resume)
    ended = settle({job: cfg}, resume)
    if ended:
        log.info("finished before, nothing to do (resume=false trains anew)")
        return ended[job]
    _write_config(folder, to_container(cfg), hydra.overrides.task)
    with _profiled(folder, settings.trainer.profile):
        finished = train_jobs([job], command())
    if job in finished.errors:
        raise finished.errors[job]
    return finished.results[job]


def _account(job_return: JobReturn, outcome: RunResult | Exception) -> None:
    if isinstance(outcome, RunResult) and outcome.status == "completed":
        job_return.status, job_return.return_value = JobStatus.COMPLETED, outcome.scores.get("validation/mae")
        return
    if isinstance(outcome, RunResult):
        outcome = UserError(f"{outcome.name}: {outcome.status}" + (f", {outcome.reason}" if outcome.reason else ""))
    job_return.status, job_return.return_value = JobStatus.FAILED, outcome


def _write_config(folder: Path, plain: dict[str, Any], overrides: Sequence[str]) -> None:
    # The C dumper where PyYAML has it: OmegaConf's own takes 10 ms a job.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_text(RunFolder(folder).config, yaml.dump(plain, Dumper=dumper, sort_keys=False))
    write_text(RunFolder(folder).overrides, yaml.dump(list(overrides), Dumper=dumper))


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


def _profiled(folder: Path, wanted: bool) -> Any:
    from contextlib import nullcontext

    from vec2uage.training.profile import profiled

    return profiled(folder) if wanted else nullcontext()

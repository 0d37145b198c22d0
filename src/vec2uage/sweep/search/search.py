"""A search from its options to the best trial: the story of `hydra/sweeper=optuna`, told in `run_search`."""

from collections.abc import Sequence
from contextlib import suppress

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from vec2uage.base.atomic import write_json
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.config.command import refuse_chdir
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.spaces import SearchSpace, parse_search
from vec2uage.config.validate import refuse
from vec2uage.runs.search_record import FILE
from vec2uage.sweep.check import check_space
from vec2uage.sweep.job_returns import raise_failure
from vec2uage.sweep.options import command_options
from vec2uage.sweep.search.options import search_options
from vec2uage.sweep.search.record import as_json, chosen, report
from vec2uage.sweep.search.shared_study import SharedStudy
from vec2uage.sweep.search.study import Ended, Study
from vec2uage.sweep.search.trials import train_trials, unfit
from vec2uage.sweep.session import SweepSession


def run_search(
    context: HydraContext,
    master: DictConfig,
    task_function: TaskFunction,
    launcher: Launcher | None,
    arguments: Sequence[str],
) -> list[JobReturn]:
    """Search within the space that `arguments` and the options of the sweeper describe; return what Hydra is told.

    Each batch of trials is one batch of jobs, which train as stacks: a trial has a job for each of its seeds, and its
    value is the mean over them. Prints the best and writes search.json. Raises UserError for all that is wrong with
    options, space or jobs, and where runs have failed; one that diverged is a bad run, and no failure.
    """
    refuse_chdir(master.hydra)
    options = search_options(master)
    command = command_options(master)
    space = parse_search(context.config_loader, master, options.search, arguments)
    refuse(unfit(check_space(Composer(context.config_loader, master), space.ends()), options))
    if launcher is not None and options.pruner.after:
        raise UserError(
            f"pruner={options.pruner.name}: this launcher trains every run to its end: leave hydra/launcher at fused"
        )
    failed_before = 0
    with SweepSession(context, master, task_function, launcher) as sweep:
        if options.study is None or command.plan:
            study = Study(options, space.distributions, space.repeats, sweep.folder / "study.journal")
            if command.resume is True:
                study.read_journal()
        else:
            sweep.open()
            study = SharedStudy(options, space.distributions, space.repeats, sweep.folder)
        if command.plan:
            each = counted(len(space.repeats), "run")
            print(f"a search of {options.trials} trials of {each} each, {options.batch} at a time; the first of these:")
        while asked := study.ask():
            jobs = {trial.number: _jobs(trial, space) for trial in asked if not study.has_failed_before(trial)}
            failed_before += len(asked) - len(jobs)
            is_first = not sweep.ended
            ended = train_trials(sweep, study, options, jobs)
            if is_first and ended and all(trial.status == "failed" for trial in ended.values()):
                _end_without_a_trial(sweep, ended[min(ended)].reason)
            for trial in asked:
                study.tell(trial, ended.get(trial.number, Ended("failed", "it failed before")))
            write_json(sweep.folder / FILE, as_json(sweep.folder, study, options, space))
        # once more, for what other commands have told since
        write_json(sweep.folder / FILE, as_json(sweep.folder, study, options, space))
    print(report(sweep.folder, study, options, space))
    _raise_failure(sweep)
    if failed_before:
        total = counted(len(study.trials), "trial")
        raise UserError(f"{failed_before} of {total} failed before; resume=changed tries again")
    return sweep.job_returns


def _jobs(trial: FrozenTrial, space: SearchSpace) -> list[tuple[str, ...]]:
    """Return the overrides of each run of a trial."""
    return [(*repeat, *chosen(trial)) for repeat in space.repeats]


def _end_without_a_trial(sweep: SweepSession, reason: str) -> None:
    """End a search of which nothing could be trained, and nothing was told: the same command begins it anew."""
    with suppress(UserError):
        _raise_failure(sweep)  # a defect is raised as it is
    raise UserError(f"all trials of the first batch failed, so no more are tried; the first: {reason}")


def _raise_failure(sweep: SweepSession) -> None:
    """Raise what is to be told of runs that failed; one that diverged or was pruned is a bad run, and no failure."""
    ended = [(job_return, run) for job_return, run in sweep.ended if run.status not in ("diverged", "pruned")]
    raise_failure([job_return for job_return, _ in ended], [run for _, run in ended])

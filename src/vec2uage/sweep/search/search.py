"""A search from its options to the best trial: the story of `hydra/sweeper=optuna`, told in `run_search`."""

import shlex
import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from vec2uage.base.atomic import write_json
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.base.formatting import counted
from vec2uage.config.command import refuse_chdir
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.spaces import SearchSpace, parse_search
from vec2uage.runs.folder import RunFolder
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.job_returns import raise_failure
from vec2uage.sweep.options import command_options
from vec2uage.sweep.search.options import SearchOptions, search_options
from vec2uage.sweep.search.study import Ended, EndStatus, Study, ended
from vec2uage.sweep.search.trials import train_trials
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
    if launcher is not None and options.pruner.after:
        raise UserError(f"pruner={options.pruner.name}: only hydra/launcher=fused, and those like it, let runs pause")
    with SweepSession(context, master, task_function, launcher) as sweep:
        study = Study(options, space.distributions, space.repeats, sweep.folder / "study.journal")
        if command.resume is True:
            study.read_journal()
        if command.plan:
            each = counted(len(space.repeats), "run")
            print(f"a search of {options.trials} trials of {each} each, {options.batch} at a time; the first of these:")
        while asked := study.ask():
            jobs = {trial.number: _jobs(trial, space) for trial in asked if not study.has_failed_before(trial)}
            is_first = not sweep.ended
            if jobs and is_first:  # what is wrong with one job is wrong with all but for the values
                compose_jobs(Composer(context.config_loader, master), next(iter(jobs.values()))[:1], 0)
            told = train_trials(sweep, study, options, jobs)
            if is_first and told and all(end.status == "failed" for end in told.values()):
                with suppress(UserError):
                    _raise_failure(sweep)
                raise UserError(f"all trials of the first batch failed: {next(iter(told.values())).reason}")
            for trial in asked:
                study.tell(trial, told.get(trial.number, Ended("failed", "it failed before")))
            write_json(sweep.folder / "search.json", _as_json(study, options))
    print(_report(sweep.folder, study, options, space))
    _raise_failure(sweep)
    if failed := sum(trial.state == TrialState.FAIL for trial in study.trials):
        raise UserError(f"{failed} of {counted(len(study.trials), 'trial')} failed before; resume=changed tries again")
    return sweep.job_returns


def _jobs(trial: FrozenTrial, space: SearchSpace) -> list[tuple[str, ...]]:
    """Return the overrides of each run of a trial."""
    return [(*repeat, *_chosen(trial)) for repeat in space.repeats]


def _chosen(trial: FrozenTrial) -> list[str]:
    return [f"{key}={value}" for key, value in trial.params.items()]


def _raise_failure(sweep: SweepSession) -> None:
    """Raise what is to be told of runs that failed; one that diverged or was pruned is a bad run, and no failure."""
    ended = [(job_return, run) for job_return, run in sweep.ended if run.status not in ("diverged", "pruned")]
    raise_failure([job_return for job_return, _ in ended], [run for _, run in ended])


def _as_json(study: Study, options: SearchOptions) -> dict[str, object]:
    """Return what search.json holds: all trials that have ended, and the numbers of the best."""
    trials = [_trial_as_json(trial) for trial in study.trials if trial.state.is_finished()]
    return {"objective": options.objective, "best": [trial.number for trial in study.best], "trials": trials}


def _trial_as_json(trial: FrozenTrial) -> dict[str, object]:
    told = ended(trial)
    return {
        "number": trial.number,
        "status": told.status,
        "reason": told.reason,
        "options": trial.params,
        "scores": told.scores,
        "at_epochs": told.at_epochs,
        "runs": told.runs,
    }


def _report(folder: Path, study: Study, options: SearchOptions, space: SearchSpace) -> str:
    """Return what is printed at the end: how many trials ended how, and the best with the command that repeats them.

    The test error is that of the one chosen trial: where several are best, which to choose is not for it to say.
    """
    states = [ended(trial).status for trial in study.trials if trial.state.is_finished()]
    ends = ", ".join(f"{states.count(status)} {status}" for status in get_args(EndStatus) if status in states)
    lines = [f"search:      {counted(len(states), 'trial')} of {counted(len(space.repeats), 'run')} each ({ends})"]
    if len(options.objective) > 1:
        lines.append(f"{counted(len(study.best), 'trial')} that no other is better than in all objectives:")
    for trial in study.best:
        told = ended(trial)
        scores = dict(told.scores)
        if len(options.objective) == 1:
            runs = [RunFolder(folder / name).read_result() for name in told.runs]
            scores["test/mae"] = statistics.fmean(run.scores["test/mae"] for run in runs)
        named = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
        lines.append(f"best:        trial {trial.number}, {named}: {visible(' '.join(_chosen(trial)))}")
        command = shlex.join(["python", "-m", "vec2uage.train", "-m", *space.typed, *_chosen(trial)])
        lines.append(f"             {visible(command)}")
    return "\n".join(lines)

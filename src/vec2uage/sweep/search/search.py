"""A search from its options to the best trial: the story of `hydra/sweeper=optuna`, told in `run_search`."""

import shlex
import statistics
from collections.abc import Mapping, Sequence

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
from vec2uage.runs.result import RunResult
from vec2uage.sweep.compose import compose_jobs
from vec2uage.sweep.job_returns import raise_failure
from vec2uage.sweep.options import command_options
from vec2uage.sweep.resume import ENDED
from vec2uage.sweep.search.options import SearchOptions, search_options
from vec2uage.sweep.search.study import Study
from vec2uage.sweep.session import SweepSession

Runs = tuple[RunResult, ...]


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
    results: list[RunResult] = []
    with SweepSession(context, master, task_function, launcher) as sweep:
        study = Study(options, space.distributions, space.repeats, sweep.folder / "study.journal")
        if command.resume is True:
            study.read_journal()
        if command.plan:
            each = counted(len(space.repeats), "run")
            print(f"a search of {options.trials} trials of {each} each, {options.batch} at a time; the first of these:")
        runs: dict[int, Runs] = {}
        while asked := study.ask():
            jobs = {trial.number: _jobs(trial, space) for trial in asked if not study.has_failed_before(trial)}
            batch = list(dict.fromkeys(job for of_trial in jobs.values() for job in of_trial))
            if batch and not results:  # what is wrong with one job is wrong with all but for the values
                compose_jobs(Composer(context.config_loader, master), batch[:1], 0)
            ended = dict(zip(batch, sweep.run(batch), strict=True)) if batch else {}
            results += ended.values()
            for trial in asked:
                runs[trial.number] = tuple(ended[job] for job in jobs.get(trial.number, ()))
                study.tell(trial, *_outcome(runs[trial.number], options))
            write_json(sweep.folder / "search.json", _as_json(study, options, runs))
    print(_report(study, options, space, runs))
    finished = [pair for pair in zip(sweep.job_returns, results, strict=True) if pair[1].status != "diverged"]
    raise_failure([job_return for job_return, _ in finished], [result for _, result in finished])
    if failed := sum(trial.state == TrialState.FAIL for trial in study.trials):
        raise UserError(f"{failed} of {counted(len(study.trials), 'trial')} failed before; resume=changed tries again")
    return sweep.job_returns


def _jobs(trial: FrozenTrial, space: SearchSpace) -> list[tuple[str, ...]]:
    """Return the overrides of each run of a trial."""
    return [(*repeat, *_chosen(trial)) for repeat in space.repeats]


def _chosen(trial: FrozenTrial) -> list[str]:
    return [f"{key}={value}" for key, value in trial.params.items()]


def _outcome(runs: Runs, options: SearchOptions) -> tuple[TrialState, list[float] | None]:
    """Return how a trial has ended, and its values if it has any: of each objective the mean of all runs."""
    if not runs or any(run.status not in ENDED for run in runs):
        return TrialState.FAIL, None
    values = [options.badness(run.scores) if run.status == "completed" else None for run in runs]
    known = [of_run for of_run in values if of_run is not None]
    if len(known) < len(runs):
        return TrialState.PRUNED, None
    return TrialState.COMPLETE, [statistics.fmean(of_objective) for of_objective in zip(*known, strict=True)]


def _mean(runs: Runs, score: str) -> float:
    return statistics.fmean(run.scores[score] for run in runs)


def _as_json(study: Study, options: SearchOptions, runs: Mapping[int, Runs]) -> dict[str, object]:
    """Return what search.json holds: all trials that have ended, and the numbers of the best."""
    trials = [
        {
            "number": trial.number,
            "status": _STATUS[trial.state],
            "options": trial.params,
            "scores": {name: _mean(runs[trial.number], name) for name in options.objective} if trial.values else {},
            "runs": [run.name for run in runs[trial.number]],
        }
        for trial in study.trials
    ]
    return {"objective": options.objective, "best": [trial.number for trial in study.best], "trials": trials}


_STATUS = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "diverged", TrialState.FAIL: "failed"}


def _report(study: Study, options: SearchOptions, space: SearchSpace, runs: Mapping[int, Runs]) -> str:
    """Return what is printed at the end: how many trials ended how, and the best with the command that repeats them.

    The test error is that of the one chosen trial: where several are best, which to choose is not for it to say.
    """
    states = [_STATUS[trial.state] for trial in study.trials]
    ends = ", ".join(f"{states.count(status)} {status}" for status in _STATUS.values() if status in states)
    lines = [f"search:      {counted(len(states), 'trial')} of {counted(len(space.repeats), 'run')} each ({ends})"]
    if len(options.objective) > 1:
        lines.append(f"{counted(len(study.best), 'trial')} that no other is better than in all objectives:")
    for trial in study.best:
        of_trial = runs[trial.number]
        names = [*options.objective, *(["test/mae"] if len(options.objective) == 1 else [])]
        scores = ", ".join(f"{name} {_mean(of_trial, name):.3f}" for name in names)
        lines.append(f"best:        trial {trial.number}, {scores}: {visible(' '.join(_chosen(trial)))}")
        command = shlex.join(["python", "-m", "vec2uage.train", "-m", *space.typed, *_chosen(trial)])
        lines.append(f"             {visible(command)}")
    return "\n".join(lines)

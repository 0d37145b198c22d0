"""What a search leaves behind and says at its end: search.json, and the best trial with the command that repeats it."""

import math
import os
import shlex
import statistics
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.base.formatting import counted
from vec2uage.config.hydra.spaces import SearchSpace
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.search_record import Choices, Numbers
from vec2uage.sweep.search.options import SearchOptions
from vec2uage.sweep.search.study import EndStatus, Study, ended


def as_json(folder: Path, study: Study, options: SearchOptions, space: SearchSpace) -> dict[str, object]:
    """Return what search.json holds (see `SearchRecord`): all trials that have ended, and the numbers of the best."""
    return {
        "command": _command(space),
        "objective": options.objective,
        "space": {key: _may_be(found) for key, found in space.distributions.items()},
        "best": [trial.number for trial in study.best],
        "trials": [_trial_as_json(trial, folder, study) for trial in study.trials if trial.state.is_finished()],
    }


def _trial_as_json(trial: FrozenTrial, folder: Path, study: Study) -> dict[str, object]:
    told = ended(trial)
    return {
        "number": trial.number,
        "status": told.status,
        "reason": told.reason,
        "options": trial.params,
        "scores": told.scores,
        "at_epochs": {epoch: value for epoch, value in told.at_epochs.items() if math.isfinite(value)},
        "runs": [os.path.relpath(study.folder_of(trial) / name, folder) for name in told.runs],
    }


def _may_be(found: BaseDistribution) -> dict[str, Any]:
    if isinstance(found, CategoricalDistribution):
        return asdict(Choices(tuple(map(str, found.choices))))
    numbers: Any = found  # whole or real
    return asdict(Numbers(numbers.low, numbers.high, numbers.log, numbers.step))


def chosen(trial: FrozenTrial) -> list[str]:
    """Return what a trial has of each option that is searched, as it is typed."""
    return [f"{key}={value}" for key, value in trial.params.items()]


def _command(space: SearchSpace, *options: str) -> str:
    """Return what trains the runs of a trial that has these options, to be typed."""
    return shlex.join(["python", "-m", "vec2uage.train", "-m", *space.typed, *options])


def report(folder: Path, study: Study, options: SearchOptions, space: SearchSpace) -> str:
    """Return what is printed at the end: how many trials ended how, and the best with the command that repeats them.

    The test error is that of the one chosen trial: where several are best, which to choose is not for it to say.
    """
    states = [ended(trial).status if trial.state.is_finished() else "under way" for trial in study.trials]
    ends = [f"{states.count(s)} {s}" for s in (*get_args(EndStatus), "under way") if s in states]
    each = counted(len(space.repeats), "run")
    lines = [f"search:      {counted(len(states), 'trial')} of {each} each ({', '.join(ends)})"]
    if len(options.objective) > 1:
        lines.append(f"{counted(len(study.best), 'trial')} that no other is better than in all objectives:")
    for trial in study.best:
        scores = dict(ended(trial).scores)
        if len(options.objective) == 1:
            with suppress(UserError):  # of another command that shares the study, and has moved its folder since
                runs = [RunFolder(study.folder_of(trial) / name).read_result() for name in ended(trial).runs]
                scores["test/mae"] = statistics.fmean(run.scores["test/mae"] for run in runs)
        named = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
        lines.append(f"best:        trial {trial.number}, {named}: {visible(' '.join(chosen(trial)))}")
        lines.append(f"             {visible(_command(space, *chosen(trial)))}")
    return "\n".join(lines)

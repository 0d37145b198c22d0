"""What can be said of a search from its record: how good each trial is, and which options that depends on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from vec2uage.base.seeds import derive
from vec2uage.predictions.metrics import METRICS, Metric
from vec2uage.reporting.figures.scale import ceiling
from vec2uage.runs.search_record import PART, Choices, Numbers, SearchRecord, TrialRecord

_FEWEST = 10
"""Trials that it takes to tell what options are worth: of fewer, a forest tells noise."""
_EDGE = 0.05
"""Closer than this to an end of its range, as a share of it, an option may be better beyond."""


@dataclass(frozen=True, eq=False)
class Values:
    """What the trials with scores have of one objective, in the order they were asked for."""

    metric: Metric
    trials: tuple[TrialRecord, ...]
    scores: Float[np.ndarray, " T"]
    badness: Float[np.ndarray, " T"]
    """Lower is better."""
    worst_shown: float
    """Badness beyond which a trial is far worse than most: it is neither drawn to scale nor does it weigh more."""

    @property
    def label(self) -> str:
        """What people are shown of the score: `validation MAE`."""
        return f"validation {self.metric.label}"

    @property
    def is_shown(self) -> Bool[np.ndarray, " T"]:
        """Which trials lie within the axis of a figure."""
        return np.asarray(self.badness <= self.worst_shown)

    @property
    def best_so_far(self) -> Float[np.ndarray, " T"]:
        """The best score up to each trial."""
        best = [int(np.argmin(self.badness[: n + 1])) for n in range(len(self.badness))]
        return self.scores[best]


@dataclass(frozen=True)
class Importance:
    """How much of a score's variance over the whole space each option explains by itself, from 0 to 1."""

    shares: dict[str, float]
    """The largest first; none where that cannot be told."""
    why_not: str = ""
    """Why it cannot be told."""


@dataclass(frozen=True, eq=False)
class Searched:
    """A search that has a best trial, with what follows from its record."""

    record: SearchRecord

    @cached_property
    def values(self) -> tuple[Values, ...]:
        """What its trials have of each objective."""
        return tuple(values(self.record, objective) for objective in self.record.objective)

    @cached_property
    def importances(self) -> dict[str, Importance]:
        """What options are worth for each objective, by the label of its score."""
        return {of_score.label: importance(self.record, of_score) for of_score in self.values}


def values(record: SearchRecord, objective: str) -> Values:
    """Return the scores of a search by one of its objectives; at least one trial must have completed."""
    metric, trials = METRICS[objective.removeprefix(PART)], tuple(record.known.values())
    scores = np.array([trial.scores[objective] for trial in trials], dtype=float)
    badness = np.array([metric.badness(score) for score in scores])
    return Values(metric, trials, scores, badness, ceiling([badness]))


def importance(record: SearchRecord, found: Values) -> Importance:
    """Return the importance of each option by functional ANOVA of a random forest (Hutter, Hoos and Leyton-Brown 2014).

    Each option is taken by its place in its range, logarithmic where that is: left to itself, Optuna's evaluator would
    take the last of two decades for nine tenths of them. What is far worse than most is taken for as bad as the worst
    of these, or one such trial would decide. Pruned trials, which there are of one objective alone, count as they were
    when they ended.
    """
    if len(record.space) == 1:
        return Importance({}, "one option alone was searched")
    pruned = [trial for trial in record.trials if trial.status == "pruned" and trial.compared]
    trials = [*found.trials, *pruned]
    if len(trials) < _FEWEST:
        return Importance({}, f"that takes {_FEWEST} trials with scores, and there are {len(trials)}")
    reached = np.array([*found.badness, *(trial.compared[max(trial.compared)] for trial in pruned)])
    capped = reached.clip(max=ceiling([reached]))
    if np.ptp(capped) == 0:
        return Importance({}, "all trials have the same score")
    from optuna import create_study, logging
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.trial import create_trial

    logging.set_verbosity(logging.WARNING)
    study = create_study()
    space: dict[str, BaseDistribution] = {
        key: CategoricalDistribution(may_be.choices) if isinstance(may_be, Choices) else FloatDistribution(0, 1)
        for key, may_be in record.space.items()
    }
    for trial, value in zip(trials, capped, strict=True):
        params = {key: record.space[key].place(option) for key, option in trial.options.items()}
        study.add_trial(create_trial(params=params, distributions=space, value=float(value)))
    shares = FanovaImportanceEvaluator(seed=derive(0, "report", "importance") % 2**32).evaluate(study)
    return Importance({key: float(share) for key, share in shares.items()})


def at_ends(record: SearchRecord, trial: TrialRecord) -> dict[str, str]:
    """Return the options of a trial that lie at an end of their range, where better may lie beyond, and at which."""
    found = {}
    for key, may_be in record.space.items():
        if isinstance(may_be, Numbers):
            place = may_be.place(trial.options[key])
            if not _EDGE < place < 1 - _EDGE:
                found[key] = "upper" if place > 0.5 else "lower"
    return found

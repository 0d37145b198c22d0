"""What Optuna suggests and is told in a search, and the record of it in the sweep's folder, `study.journal`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import differences
from vec2uage.base.seeds import derive
from vec2uage.config.settings import EXECUTION_OPTIONS
from vec2uage.runs.variants import split_override
from vec2uage.sweep.search.options import SearchOptions

_NAME = "search"
_MADE_OF, _ENDED = "made_of", "ended"

EndStatus = Literal["completed", "diverged", "pruned", "failed"]
_STATES: dict[EndStatus, TrialState] = {
    "completed": TrialState.COMPLETE,
    "diverged": TrialState.PRUNED,  # Optuna has no word for it; unlike those that were pruned, without values
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Ended:
    """How a trial has ended: its values (of each objective, lower is better), scores and runs.

    `at_epochs` says how good it was after the epochs at which a pruner has compared it.
    """

    status: EndStatus
    reason: str = ""
    values: tuple[float, ...] | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    at_epochs: Mapping[int, float] = field(default_factory=dict)


_SCHEMA = TypeAdapter(Ended)


class Study:
    """Trials in batches: `ask` for some, `tell` how each of them ended.

    Suggestions follow from the options, the space and what was told, and from nothing else. A search that is taken up
    again asks for all of its trials again and is told the same of them, so that it goes on as if it had never ended;
    the journal is a record for the eye and for Optuna's tools, and shows whether it is the same search.
    """

    _of_another = (
        "name another folder by hydra.sweep.dir, or set resume=changed, which begins the search anew and keeps the "
        "runs it meets again"
    )

    def __init__(
        self, options: SearchOptions, space: Mapping[str, BaseDistribution], runs: Sequence[Sequence[str]], path: Path
    ) -> None:
        """Begin a study whose trials have these `runs` each, with a journal at `path`."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._options, self._space, self._path = options, dict(space), path
        self._study = optuna.create_study(directions=["minimize"] * len(options.objective))
        self._samplers: dict[bool, BaseSampler] = {}
        self._made_of = {
            "space": {key: distribution_to_json(found) for key, found in space.items()},
            "objective": list(options.objective),
            **{name: getattr(options, name) for name in ("startup", "batch", "seed")},
            "runs": [" ".join(o for o in run if split_override(o)[0] not in EXECUTION_OPTIONS) for run in runs],
        }
        if options.pruner.after:
            self._made_of["pruner"] = str(options.pruner)
        self._asked: dict[int, optuna.Trial] = {}
        self._recorded: list[FrozenTrial] = []
        self._journal: optuna.Study | None = None

    def folder_of(self, trial: FrozenTrial) -> Path:
        """Return the folder below which the runs of a trial lie."""
        return self._path.parent

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that were asked for."""
        return self._study.get_trials(deepcopy=False)

    @property
    def best(self) -> list[FrozenTrial]:
        """The trials that no other is better than in every objective; one for one objective."""
        is_one = len(self._options.objective) == 1
        completed = any(trial.state == TrialState.COMPLETE for trial in self.trials)
        return [] if not completed else [self._study.best_trial] if is_one else self._study.best_trials

    def read_journal(self) -> None:
        """Read what an earlier command has recorded; UserError where that was another search, or is no record."""
        if not self._path.exists():
            return
        with damage_told(self._path, "delete it: the search goes on with the runs that are there"):
            recorded = open_journal(self._path)
            self._refuse_another(recorded)
            self._recorded = recorded.get_trials(deepcopy=False)

    def _refuse_another(self, recorded: optuna.Study) -> None:
        """Raise UserError where a journal has recorded another search."""
        if (made_of := recorded.user_attrs[_MADE_OF]) != (now := json.loads(json.dumps(self._made_of))):
            raise UserError(f"{self._path} is of another search ({differences(made_of, now)}): {self._of_another}")

    def ask(self) -> list[FrozenTrial]:
        """Return the next batch of trials, as many as are still to be tried."""
        first = len(self.trials)
        is_startup = first < self._options.startup
        self._study.sampler = self._samplers.setdefault(is_startup, sampler(self._options, first))
        last = min(first + self._options.batch, self._options.trials)
        self._asked = {number: self._study.ask(self._space) for number in range(first, last)}
        return self.trials[first:last]

    def has_failed_before(self, trial: FrozenTrial) -> bool:
        """Tell whether an earlier command has recorded a trial as failed: what came after it was not told of it."""
        return trial.number < len(self._recorded) and self._recorded[trial.number].state == TrialState.FAIL

    def reached(self, epoch: int) -> tuple[dict[int, float], dict[int, float]]:
        """Return how good the told trials were at an epoch, by number: all of them, and those that completed."""
        there = [trial for trial in self.trials if trial.state.is_finished() and epoch in trial.intermediate_values]
        values = {trial.number: trial.intermediate_values[epoch] for trial in there}
        return values, {trial.number: values[trial.number] for trial in there if trial.state == TrialState.COMPLETE}

    def tell(self, trial: FrozenTrial, ended: Ended) -> None:
        """Tell how a trial has ended, and record it. Raises UserError if the journal has recorded something else.

        Of a trial that was pruned or has diverged the sampler learns that it is worse than all with values, of one that
        failed it learns nothing.
        """
        self._end(self._asked.pop(trial.number), ended)
        told = self.trials[trial.number]
        if trial.number >= len(self._recorded):
            self._record(told)
        elif (before := _essence(self._recorded[trial.number])) != (now := _essence(told)):
            raise UserError(
                f"{self._path}: trial {trial.number} does not repeat ({differences(before, now)}): other versions or "
                "another processor may suggest otherwise; resume=changed begins the search anew and keeps the runs it "
                "meets again"
            )

    def _end(self, trial: optuna.Trial, ended: Ended) -> None:
        for epoch, value in ended.at_epochs.items():
            trial.report(value, epoch)
        trial.set_user_attr(_ENDED, asdict(ended))
        self._study.tell(trial.number, ended.values, _STATES[ended.status])

    def _record(self, told: FrozenTrial) -> None:
        if self._journal is None:
            self._journal = self._begin() if not self._recorded else self._go_on()
        self._journal.add_trial(told)

    def _begin(self) -> optuna.Study:
        with replacing(self._path) as temporary:
            begun = optuna.create_study(
                study_name=_NAME, storage=_storage(temporary), directions=self._study.directions
            )
            begun.set_user_attr(_MADE_OF, self._made_of)
        return open_journal(self._path)

    def _go_on(self) -> optuna.Study:
        without_torn_line(self._path)
        return open_journal(self._path)


class _Unlocked(JournalFileOpenLock):
    """No lock: the sweep keeps others out of its folder. Optuna's own outlives a killed process, and others hang."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _storage(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_Unlocked(str(path))))


def without_torn_line(path: Path) -> None:
    """Cut off a last line of a journal that a power cut has left in part."""
    whole, _, rest = path.read_bytes().rpartition(b"\n")
    if rest:
        with replacing(path) as temporary:
            temporary.write_bytes(whole + b"\n")


def open_journal(path: Path) -> optuna.Study:
    return optuna.load_study(study_name=_NAME, storage=_storage(path))


@contextmanager
def damage_told(path: Path, advice: str) -> Iterator[None]:
    """Raise UserError, with this advice, where a journal cannot be read."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}): {advice}") from None


def sampler(options: SearchOptions, first: int, again: int | None = None) -> BaseSampler:
    """Return what draws trials from number `first` on: at random, or the tree-structured Parzen estimator.

    Of the latter (Bergstra et al. 2011), trials of a batch that have not ended count as bad ones (the constant liar of
    Ginsbourger et al. 2010), so that they spread out; its own startup is one trial, as ours draws what is random. A
    sampler that is made `again`, by this number, draws otherwise.
    """
    parts = () if again is None else (str(again),)
    if first < options.startup:
        return RandomSampler(seed=derive(options.seed, "search", "startup", *parts) % 2**32)
    return TPESampler(seed=derive(options.seed, "search", "tpe", *parts) % 2**32, n_startup_trials=1)


def _essence(trial: FrozenTrial) -> dict[str, Any]:
    at_epochs = {f"epoch {epoch}": value for epoch, value in trial.intermediate_values.items()}
    return {"state": trial.state.name, "values": trial.values, **at_epochs, **trial.params}


def ended(trial: FrozenTrial) -> Ended:
    """Return how a trial of a study was told to have ended."""
    found: Ended = _SCHEMA.validate_python(trial.user_attrs[_ENDED])
    return found

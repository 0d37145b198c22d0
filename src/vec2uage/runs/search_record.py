"""What a search has tried, as it stands in `search.json`: the interface between searches and reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from vec2uage.base.errors import UserError

FILE = "search.json"
Value = int | float | str
"""What a trial has of an option: a number, or a choice as it is typed."""


@dataclass(frozen=True)
class Numbers:
    """An option may be a number from `low` to `high`, both included: any, or every `step`-th."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether it is drawn uniformly in its logarithm."""
    step: int | float | None = None


@dataclass(frozen=True)
class Choices:
    """An option may be one of several values, in no order."""

    choices: tuple[str, ...]


@dataclass(frozen=True)
class TrialRecord:
    """A set of options that was tried."""

    number: int
    status: Literal["completed", "diverged", "pruned", "failed"]
    options: Mapping[str, Value]
    scores: Mapping[str, float]
    """Of each objective the mean over its runs; none where it has not completed."""
    runs: tuple[str, ...]
    """Where their folders lie, seen from that of the search."""
    reason: str = ""
    """Why it has not completed."""
    at_epochs: Mapping[int, float] = field(default_factory=dict)
    """How good it was after the epochs at which a pruner has compared it, lower is better."""


@dataclass(frozen=True)
class SearchRecord:
    """All trials of a search that have ended."""

    objective: tuple[str, ...]
    """Scores of validation, such as `validation/mae`."""
    best: tuple[int, ...]
    """Numbers of the trials that no other is better than in every objective; one for one objective."""
    trials: tuple[TrialRecord, ...]
    space: Mapping[str, Numbers | Choices] = field(default_factory=dict)
    """What may be chosen of each option that is searched."""
    command: str = ""
    """What trains the runs of a trial if its options follow it."""

    @property
    def chosen(self) -> TrialRecord | None:
        """The best trial; None where none has completed, or where several objectives leave the choice open."""
        return self.of(self.best[0]) if len(self.objective) == 1 and self.best else None

    def of(self, number: int) -> TrialRecord:
        """Return the trial of a number."""
        return next(trial for trial in self.trials if trial.number == number)

    def __post_init__(self) -> None:
        if missing := set(self.best) - {trial.number for trial in self.trials}:
            raise ValueError(f"there is no trial {min(missing)}, which should be the best")


_SCHEMA = TypeAdapter(SearchRecord)


def read_search(folder: Path) -> SearchRecord | None:
    """Read the record of the search in a sweep's folder, None for a sweep that is none; UserError for a damaged one."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return _SCHEMA.validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path} is damaged ({where + ': ' if where else ''}{first['msg']}): the command of the search, typed "
            "again, writes it anew"
        ) from None

"""What a search has tried, as it stands in `search.json`: the interface between searches and reports."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from vec2uage.base.errors import UserError
from vec2uage.predictions.metrics import METRICS

FILE = "search.json"
PART = "validation/"
"""What the scores begin with that are objectives."""
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

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and self.low < self.high < math.inf and (self.low > 0 or not self.log)):
            raise ValueError(f"{self.low} to {self.high} is no range")

    def __contains__(self, value: Value) -> bool:
        return not isinstance(value, str) and self.low <= value <= self.high

    def __str__(self) -> str:
        step = f" in steps of {self.step:g}" if self.step is not None and self.step != 1 else ""
        kind = "whole, " if isinstance(self.low, int) and isinstance(self.high, int) else ""
        return f"{kind}{self.low:g} to {self.high:g}{step}{', logarithmic' if self.log else ''}"

    def place(self, value: Value) -> float:
        """Return where a number lies: 0 at the lower end, 1 at the upper one.

        >>> Numbers(1e-4, 1e-2, log=True).place(1e-3)
        0.5
        """
        low, high, at = (math.log10(float(x)) if self.log else float(x) for x in (self.low, self.high, value))
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Choices:
    """An option may be one of several values, in no order."""

    choices: tuple[str, ...]

    def __contains__(self, value: Value) -> bool:
        return value in self.choices

    def __str__(self) -> str:
        return " | ".join(self.choices)

    def place(self, value: Value) -> str:
        """Return a choice as it is: choices have no order."""
        return str(value)


Space = Mapping[str, Numbers | Choices]
"""What each option may be that is searched."""


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
    at_epochs: Mapping[int, float | None] = field(default_factory=dict)
    """How good it was after the epochs at which a pruner has compared it, lower is better; None: not finite."""

    @property
    def compared(self) -> dict[int, float]:
        """How good it was at these epochs, in their order, where that is finite."""
        return {epoch: value for epoch, value in sorted(self.at_epochs.items()) if value is not None}


@dataclass(frozen=True)
class SearchRecord:
    """All trials of a search that have ended."""

    command: str
    """What trains the runs of a trial if its options follow it."""
    objective: tuple[str, ...]
    """Scores of validation, such as `validation/mae`."""
    space: Space
    best: tuple[int, ...]
    """Numbers of the trials that no other is better than in every objective; one for one objective."""
    trials: tuple[TrialRecord, ...]

    def __post_init__(self) -> None:
        unknown = [name for name in self.objective if name.removeprefix(PART) not in METRICS]
        if unknown or not self.objective or not self.space:
            raise ValueError(f"no search is for {unknown[0]}" if unknown else "no objective, or nothing to choose")
        for trial in self.trials:
            if trial.options.keys() != self.space.keys() or any(
                v not in self.space[k] for k, v in trial.options.items()
            ):
                raise ValueError(f"trial {trial.number} is not of its space")
        for number, trial in self.known.items():
            if not all(math.isfinite(trial.scores.get(name, math.nan)) for name in self.objective):
                raise ValueError(f"trial {number} has no score")
        if not self.known.keys() >= set(self.best):
            raise ValueError("its best trial has not completed")

    @property
    def known(self) -> dict[int, TrialRecord]:
        """The trials that have completed, and so have scores, by their numbers."""
        return {trial.number: trial for trial in self.trials if trial.status == "completed"}

    @property
    def endings(self) -> str:
        """How many trials have ended how: `62 completed, 2 diverged`."""
        ended = Counter(trial.status for trial in self.trials)
        return ", ".join(f"{count} {status}" for status, count in ended.most_common())

    @property
    def chosen(self) -> TrialRecord | None:
        """The best trial; None where none has completed, or where several objectives leave the choice open."""
        return self.known[self.best[0]] if len(self.objective) == 1 and self.best else None


_SCHEMA = TypeAdapter(SearchRecord)


def read_search(folder: Path) -> SearchRecord | None:
    """Read the record of the search in a sweep's folder, None for a sweep that is none; UserError for a damaged one."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return _SCHEMA.validate_json(path.read_bytes())
    except OSError as error:
        reason = str(error.strerror)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}: {first['msg']}" if where else first["msg"]
    raise UserError(f"{path} cannot be read ({reason}): the search, taken up again, writes it anew")

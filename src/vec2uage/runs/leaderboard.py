"""What `leaderboard.json` holds: of each entry and split what validation has chosen, and how that did on the test."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vec2uage.base.atomic import write_json
from vec2uage.base.errors import UserError

BANDS = ((1, 5), (6, 12), (13, 15), (16, 18))
"""Whole years, both included, over which errors are told apart."""
MAE, CRPS = "test/mae", "test/crps"
FILE = "leaderboard.json"


@dataclass(frozen=True)
class Chosen:
    """The trial that validation has chosen of an entry for one split; numbers are means over its seeds."""

    trial: int
    validation: float
    """MAE in years, by which it was chosen."""
    scores: dict[str, float]
    """Of the test faces, named as in `RunResult`."""
    bands: dict[str, float]
    """MAE (years) of the test faces of each of `BANDS`, as `1-5`."""
    seconds: float
    """To train one run."""
    runs: tuple[str, ...]
    """Their names in the sweep's folder, one a seed."""


@dataclass(frozen=True)
class Cost:
    """What the model of one run costs to use."""

    seconds: float
    """To tell the ages of 1,000 faces."""
    size: int
    """Of its file, in bytes."""


@dataclass(frozen=True)
class Entry:
    """A model with what is set for it and what was tried, and what came of that."""

    name: str
    fixed: dict[str, str]
    """The options that all of its trials have."""
    searched: dict[str, str]
    """What options were drawn from."""
    trials: tuple[dict[str, str], ...]
    """What each trial has beside `fixed`."""
    has_spread: bool
    """Whether its models say how sure they are; of points the CRPS is the absolute error."""
    cost: Cost | None
    chosen: dict[str, Chosen]
    """By split."""
    missing: dict[str, str] = field(default_factory=dict)
    """The splits in which no trial has completed, and why."""


@dataclass(frozen=True)
class Leaderboard:
    """Entries over the same splits, in the order they were run."""

    command: str
    reference: str
    """The entry that others are compared with."""
    splits: tuple[str, ...]
    training_faces: int
    """The fewest distinct faces that any split and entry trains on: intervals are rather too wide."""
    test_faces: int
    entries: tuple[Entry, ...]

    @property
    def test_share(self) -> float:
        """What the variance of a mean over splits that share faces needs (see `statistics.resampled`)."""
        return self.test_faces / self.training_faces


_SCHEMA = TypeAdapter(Leaderboard)


def band_names() -> list[str]:
    """Name the bands, as `1-5`."""
    return [f"{first}-{last}" for first, last in BANDS]


def write_leaderboard(board: Leaderboard, folder: Path) -> None:
    """Write leaderboard.json into the folder of its sweep."""
    write_json(folder / FILE, asdict(board))


def read_leaderboard(folder: Path) -> Leaderboard:
    """Read leaderboard.json; UserError where it is missing or damaged."""
    path = folder / FILE
    try:
        board = _SCHEMA.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    _check(board, path)
    return board


def _check(board: Leaderboard, path: Path) -> None:
    names = [entry.name for entry in board.entries]
    known = {split for entry in board.entries for split in entry.chosen}
    if not names or len(set(names)) < len(names) or not known <= set(board.splits):
        raise UserError(f"{path} is damaged: it has no entries, or one twice, or splits that are none of its own")
    if not (board.training_faces > 0 and board.test_faces > 0):
        raise UserError(f"{path} is damaged: it says of no faces that they were trained on or tested")
    for entry in board.entries:
        for split, of in entry.chosen.items():
            numbers = (of.validation, *(of.scores.get(name, math.nan) for name in (MAE, CRPS)))
            if not (all(map(math.isfinite, numbers)) and 0 <= of.trial < len(entry.trials)):
                raise UserError(f"{path} is damaged: {entry.name} has no errors in split {split}, or of no trial")


def best_of(chosen: Sequence[tuple[str, Chosen]]) -> tuple[str, Chosen]:
    """Return the one with the lowest validation error; of several the first."""
    return min(chosen, key=lambda pair: pair[1].validation)

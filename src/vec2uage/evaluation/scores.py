"""How far predictions are off: every registered metric over all faces, and the errors of each age."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from jaxtyping import Real

from vec2uage.predictions.base import Prediction
from vec2uage.predictions.metrics import METRICS, bias, cumulative_score, mae, scores
from vec2uage.predictions.operating import FEWEST

SMALL = " *"
"""What marks the rows of fewer than `FEWEST` faces."""
_LINES = 20  # a longer table stands in columns side by side
_COLUMNS = 3  # at most, as a terminal is not wider


@dataclass(frozen=True)
class AgeScores:
    """The errors of the faces of one whole age, in years."""

    age: int
    n: int
    mae: float
    bias: float

    def text(self) -> str:
        """Return a row of the table by age."""
        return f"{self.age:3d} {self.n:7,d} {self.mae:7.3f} {self.bias:+7.3f}{SMALL if self.n < FEWEST else ''}"


@dataclass(frozen=True)
class Scores:
    """What is measured of the predictions for `n` faces."""

    n: int
    overall: dict[str, float]
    """The registered metrics by name, over all faces."""
    cs: tuple[tuple[float, float], ...]
    """Each k (years) with CS(k), from 0 to 1."""
    per_age: tuple[AgeScores, ...]

    def text(self) -> str:
        """Return the scores as a short table."""
        first, last = self.per_age[0].age, self.per_age[-1].age
        width = max(len(METRICS[name].label) for name in self.overall)
        return "\n".join(
            [
                f"{self.n:,} faces of the ages {first}-{last}",
                *_in_columns([_line(name, value, width) for name, value in self.overall.items()]),
                "",
                "k (years)" + "".join(f"{k:6g}" for k, _ in self.cs),
                "CS(k) (%)" + "".join(f"{100 * share:6.1f}" for _, share in self.cs),
                "",
                *_in_columns([of_age.text() for of_age in self.per_age], "age       n     MAE    bias"),
            ]
        )


def score(ages: Real[np.ndarray, " N"], prediction: Prediction, cs: Sequence[float]) -> Scores:
    """Measure predictions against ages in years; `cs` are the k of the cumulative scores.

    >>> from vec2uage.predictions.point import Point
    >>> score(np.array([4.0, 4.5, 10.0]), Point(np.array([5.0, 4.5, 7.0])), [1.0]).cs
    ((1.0, 0.6666666666666666),)
    """
    floors = np.floor(ages).astype(int)
    per_age = []
    for age in np.unique(floors):
        own = np.flatnonzero(floors == age)
        of_age = ages[own], prediction.take(own)
        per_age.append(AgeScores(int(age), len(own), mae(*of_age), bias(*of_age)))
    return Scores(
        n=len(ages),
        overall=scores(ages, prediction),
        cs=tuple((k, cumulative_score(ages, prediction, k)) for k in cs),
        per_age=tuple(per_age),
    )


def _line(name: str, value: float, width: int) -> str:
    metric = METRICS[name]
    sign = "+" if metric.best == 0 else ""
    shown = f"{value:{sign}7.3f} {metric.unit}" if np.isfinite(value) else "      -"
    return f"{metric.label:{width}}  {shown}".rstrip()


def _in_columns(lines: Sequence[str], *heads: str) -> list[str]:
    """Return lines below their heads, side by side where there are many, so that all can be seen at once."""
    count = min(-(-len(lines) // _LINES), _COLUMNS)
    tall = -(-len(lines) // count)
    columns = [[*heads, *lines[first : first + tall]] for first in range(0, len(lines), tall)]
    width = max(map(len, lines))
    return ["   ".join(f"{cell:{width}}" for cell in row).rstrip() for row in zip_longest(*columns, fillvalue="")]

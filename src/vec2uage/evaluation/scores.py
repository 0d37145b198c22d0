"""How far predictions are off: over all faces, and for each age."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Real

from vec2uage.predictions import metrics
from vec2uage.predictions.point import Point


@dataclass(frozen=True)
class AgeScores:
    """The errors of the faces of one whole age, in years."""

    age: int
    n: int
    mae: float
    bias: float


@dataclass(frozen=True)
class Scores:
    """The errors of `n` predictions in years (see `base.metrics`); `cs` pairs each k with CS(k), from 0 to 1."""

    n: int
    mae: float
    rmse: float
    bias: float
    cs: tuple[tuple[float, float], ...]
    per_age: tuple[AgeScores, ...]

    def text(self) -> str:
        """Return the scores as a short table."""
        first, last = self.per_age[0].age, self.per_age[-1].age
        return "\n".join(
            [
                f"{self.n:,} faces of the ages {first}-{last}",
                f"MAE   {self.mae:7.3f} years",
                f"RMSE  {self.rmse:7.3f} years",
                f"bias  {self.bias:+7.3f} years",
                "",
                "k (years)" + "".join(f"{k:6g}" for k, _ in self.cs),
                "CS(k) (%)" + "".join(f"{100 * share:6.1f}" for _, share in self.cs),
                "",
                "age       n     MAE    bias",
                *(f"{a.age:3d} {a.n:7,d} {a.mae:7.3f} {a.bias:+7.3f}" for a in self.per_age),
            ]
        )


def score(ages: Real[np.ndarray, " N"], predictions: Real[np.ndarray, " N"], cs: Sequence[float]) -> Scores:
    """Measure predictions against ages, both in years; `cs` are the k of the cumulative scores.

    >>> score(np.array([4.0, 4.5, 10.0]), np.array([5.0, 4.5, 7.0]), [1.0]).cs
    ((1.0, 0.6666666666666666),)
    """
    floors, point = np.floor(ages).astype(int), Point(predictions)
    per_age = [
        AgeScores(
            age=int(age),
            n=int((floors == age).sum()),
            mae=metrics.mae(ages[floors == age], point.take(floors == age)),
            bias=metrics.bias(ages[floors == age], point.take(floors == age)),
        )
        for age in np.unique(floors)
    ]
    return Scores(
        n=len(ages),
        mae=metrics.mae(ages, point),
        rmse=metrics.rmse(ages, point),
        bias=metrics.bias(ages, point),
        cs=tuple((k, metrics.cumulative_score(ages, point, k)) for k in cs),
        per_age=tuple(per_age),
    )

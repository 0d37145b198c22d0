"""What is measured of predictions, by name: one registry for validation, results, tables, monitors and searches.

A new metric is one function with `@metric`, of the true ages `[N]` in years and a `Prediction`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Real

from vec2uage.predictions.base import Prediction

Ages = Real[np.ndarray, " N"]
Measure = Callable[[Ages, Prediction], float]
Best = Literal["lowest", "highest", "zero"]


@dataclass(frozen=True)
class Metric:
    """A measure, and what is needed to show and to compare its values."""

    name: str
    """Its key in files."""
    label: str
    """What people are shown."""
    measure: Measure
    unit: str
    best: Best

    def badness(self, value: float) -> float:
        """Return a number that falls as the value gets better: what a monitor compares."""
        return {"lowest": value, "highest": -value, "zero": abs(value)}[self.best]


METRICS: dict[str, Metric] = {}


def metric(unit: str, best: Best = "lowest", label: str = "") -> Callable[[Measure], Measure]:
    """Register a function under its own name; people are shown `label`, by default that name."""

    def register(measure: Measure) -> Measure:
        METRICS[measure.__name__] = Metric(measure.__name__, label or measure.__name__, measure, unit, best)
        return measure

    return register


def scores(ages: Ages, prediction: Prediction, batch_size: int | None = None) -> dict[str, float]:
    """Return all registered metrics, by name, over all rows; with `batch_size`, their means over batches of it.

    >>> from vec2uage.predictions.point import Point
    >>> scores(np.array([4.0, 10.0]), Point(np.array([5.0, 7.0])))["mae"]
    2.0
    """
    if batch_size is None:
        return {name: known.measure(ages, prediction) for name, known in METRICS.items()}
    batches = [slice(first, first + batch_size) for first in range(0, len(ages), batch_size)]
    measured = [scores(ages[batch], prediction.take(batch)) for batch in batches]
    return {name: float(np.mean([of_batch[name] for of_batch in measured])) for name in METRICS}


@metric(unit="years", label="MAE")
def mae(ages: Ages, prediction: Prediction) -> float:
    """Return the mean absolute error in years of the medians, which minimise it."""
    return float(np.abs(_errors(ages, prediction.median)).mean())


@metric(unit="years", label="RMSE")
def rmse(ages: Ages, prediction: Prediction) -> float:
    """Return the root of the mean squared error in years of the means, which minimise it."""
    return float(np.sqrt(np.square(_errors(ages, prediction.mean)).mean()))


@metric(unit="years", best="zero")
def bias(ages: Ages, prediction: Prediction) -> float:
    """Return the mean of predicted mean minus age, in years: positive where people are judged too old."""
    return float(_errors(ages, prediction.mean).mean())


def cumulative_score(ages: Ages, prediction: Prediction, k: float) -> float:
    """Return the share (0 to 1) of medians at most `k` years off, known as CS(k)."""
    return float((np.abs(_errors(ages, prediction.median)) <= k).mean())


def per_age(ages: Ages, prediction: Prediction) -> dict[int, float]:
    """Return the mean absolute error in years for each whole age (floor), youngest first."""
    errors = np.abs(_errors(ages, prediction.median))
    floors = np.floor(ages).astype(int)
    return {int(age): float(errors[floors == age].mean()) for age in np.unique(floors)}


def _errors(ages: Ages, predicted: Real[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    # [N] against [N, 1] would broadcast to N * N differences and a plausible, wrong number
    if ages.shape != predicted.shape or ages.ndim != 1 or len(ages) == 0:
        raise ValueError(f"expected as many predictions as ages, at least one: {predicted.shape}, {ages.shape}")
    return predicted.astype(np.float64) - ages.astype(np.float64)

"""What is measured of predictions, by name: one registry for validation, results, tables, monitors and searches.

A new metric is one function with `@metric`, of the true ages `[N]` in years and a `Prediction`; one that has `weights`
beside them is known of faces that do not all count the same, too.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Real

from vec2uage.predictions import reliability
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.minors import boundary, is_minor, p_minor
from vec2uage.predictions.roc import roc

Ages = Real[np.ndarray, " N"]
Weights = Float[np.ndarray, " N"] | None
"""What each face counts for in a mean; None: all the same."""
Measure = Callable[..., float]  # of ages and a Prediction, and of `weights` where they can count in it
Best = Literal["lowest", "highest"] | float
PERCENTS = (50, 80, 90, 95)
"""What the central intervals that are measured hold."""


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
    """The number that is best, or which ones are better."""
    every_epoch: bool = False
    """Whether validation measures it in every epoch; all others are measured at the end of a run."""
    needs_spread: bool = False
    """Whether it says nothing of predictions without a spread (`Prediction.has_spread`)."""

    @property
    def takes_weights(self) -> bool:
        """Whether faces may count for more than others in it."""
        return "weights" in inspect.signature(self.measure).parameters

    def badness(self, value: float) -> float:
        """Return a number that falls as the value gets better: what a monitor compares."""
        if isinstance(self.best, str):
            return value if self.best == "lowest" else -value
        return abs(value - self.best)


METRICS: dict[str, Metric] = {}


def metric(
    unit: str, best: Best = "lowest", label: str = "", every_epoch: bool = False, needs_spread: bool = False
) -> Callable[[Measure], Measure]:
    """Register a function under its own name; people are shown `label`, by default that name."""

    def register(measure: Measure) -> Measure:
        name = measure.__name__
        METRICS[name] = Metric(name, label or name, measure, unit, best, every_epoch, needs_spread)
        return measure

    return register


def scores(
    ages: Ages,
    prediction: Prediction,
    batch_size: int | None = None,
    every_epoch: bool = False,
    weights: Weights = None,
) -> dict[str, float]:
    """Return the registered metrics that the prediction allows, by name, over all rows; they may be infinite or NaN.

    With `every_epoch`, only those of every epoch. With `batch_size`, these are means over batches of so many rows. With
    `weights`, only those that rows can count in by them.

    >>> from vec2uage.predictions.point import Point
    >>> scores(np.array([4.0, 10.0]), Point(np.array([5.0, 7.0])))["mae"]
    2.0
    """
    allowed = [known for known in METRICS.values() if prediction.has_spread or not known.needs_spread]
    with np.errstate(all="ignore"):  # of a run that has diverged, nothing is a number
        return {
            known.name: _measured(known, ages, prediction, batch_size if known.every_epoch else None, weights)
            for known in allowed
            if (known.every_epoch or not every_epoch) and (weights is None or known.takes_weights)
        }


def _measured(known: Metric, ages: Ages, prediction: Prediction, batch_size: int | None, weights: Weights) -> float:
    of_faces = {} if weights is None else {"weights": weights}
    if batch_size is None:
        return known.measure(ages, prediction, **of_faces)
    batches = [slice(first, first + batch_size) for first in range(0, len(ages), batch_size)]

    def measured(batch: slice) -> float:
        own = {name: of_face[batch] for name, of_face in of_faces.items()}
        return known.measure(ages[batch], prediction.take(batch), **own)

    return float(np.mean(list(map(measured, batches))))


@metric(unit="years", label="MAE", every_epoch=True)
def mae(ages: Ages, prediction: Prediction, weights: Weights = None) -> float:
    """Return the mean absolute error in years of the medians, which minimise it."""
    return _mean(np.abs(_errors(ages, prediction.median)), weights)


@metric(unit="years", label="MAE of the mean", needs_spread=True)
def mae_of_mean(ages: Ages, prediction: Prediction, weights: Weights = None) -> float:
    """Return the mean absolute error in years of the means."""
    return _mean(np.abs(_errors(ages, prediction.mean)), weights)


@metric(unit="years", label="RMSE", every_epoch=True)
def rmse(ages: Ages, prediction: Prediction, weights: Weights = None) -> float:
    """Return the root of the mean squared error in years of the means, which minimise it."""
    return math.sqrt(_mean(np.square(_errors(ages, prediction.mean)), weights))


@metric(unit="years", best=0.0, every_epoch=True)
def bias(ages: Ages, prediction: Prediction, weights: Weights = None) -> float:
    """Return the mean of predicted mean minus age, in years: positive where people are judged too old."""
    return _mean(_errors(ages, prediction.mean), weights)


@metric(unit="years", label="CRPS", every_epoch=True)
def crps(ages: Ages, prediction: Prediction, weights: Weights = None) -> float:
    """Return the mean continuous ranked probability score in years: the MAE where predictions are points."""
    return _mean(prediction.crps(ages), weights)


@metric(unit="nats", label="log score", every_epoch=True, needs_spread=True)
def log_score(ages: Ages, prediction: Prediction, weights: Weights = None) -> float:
    """Return the mean negative logarithm of the density at the true age (in 1/years); infinite where one is 0."""
    return _mean(-prediction.log_density(ages), weights)


def interval_coverage(ages: Ages, prediction: Prediction, level: float) -> float:
    """Return the share of faces whose age lies in their central interval of this level."""
    low, high = prediction.interval(level)
    return float(((low <= ages) & (ages <= high)).mean())


def interval_width(ages: Ages, prediction: Prediction, level: float) -> float:
    """Return the mean width in years of the central intervals of this level."""
    low, high = prediction.interval(level)
    return float((high - low).mean())


def _register_intervals() -> None:
    kinds = (("coverage", interval_coverage, ""), ("width", interval_width, "years"))
    for kind, measure, unit in kinds:
        for percent in PERCENTS:
            name, level = f"{kind}_{percent}", percent / 100
            best: Best = "lowest" if unit else level
            of_level = partial(measure, level=level)
            METRICS[name] = Metric(name, f"{kind} at {percent}%", of_level, unit, best, needs_spread=True)


_register_intervals()


@metric(unit="years", label="interval score", needs_spread=True)
def interval_score_90(ages: Ages, prediction: Prediction) -> float:
    """Return the mean score of the central 90% intervals in years: their width, and 20 times what an age is outside.

    Best where 5% of ages lie below and 5% above (Gneiting and Raftery 2007, equation 43).
    """
    low, high = prediction.interval(0.9)
    outside = np.maximum(low - ages, 0) + np.maximum(ages - high, 0)
    return float((high - low + 2 / (1 - 0.9) * outside).mean())


@metric(unit="years", needs_spread=True)
def sharpness(ages: Ages, prediction: Prediction) -> float:
    """Return the root of the mean predicted variance, in years: the RMSE to be expected if all is as predicted."""
    return float(np.sqrt(np.square(prediction.std, dtype=np.float64).mean()))


@metric(unit="", best="highest", label="p of PIT", needs_spread=True)
def pit_p(ages: Ages, prediction: Prediction) -> float:
    """Return the p-value of the test that the true ages' levels are uniform; NaN for fewer than 50 faces."""
    return reliability.pit_p(prediction.pit(ages))


@metric(unit="", label="minor, Brier", needs_spread=True)
def minor_brier(ages: Ages, prediction: Prediction) -> float:
    """Return the mean squared error of the probability of being a minor; NaN where all are minors, or none."""
    p, minor = _minors(ages, prediction)
    return float(np.square(p - minor).mean())


@metric(unit="nats", label="minor, log loss", needs_spread=True)
def minor_log_loss(ages: Ages, prediction: Prediction) -> float:
    """Return the mean negative logarithm of the probability of what is true; NaN where all are minors, or none."""
    p, minor = _minors(ages, prediction)
    return float(-np.log(np.where(minor, p, 1 - p)).mean())


@metric(unit="", label="minor, ECE", needs_spread=True)
def minor_ece(ages: Ages, prediction: Prediction) -> float:
    """Return the expected calibration error of the probability in ten bins; NaN where all are minors, or none."""
    p, minor = _minors(ages, prediction)
    return reliability.reliability(p, minor).error if np.isfinite(p).all() else np.nan


@metric(unit="", best="highest", label="minor, AUC", needs_spread=True)
def minor_auc(ages: Ages, prediction: Prediction) -> float:
    """Return how likely a minor has the higher probability of being one; NaN where all are minors, or none."""
    return roc(*_minors(ages, prediction)).area


def _minors(ages: Ages, prediction: Prediction) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Return each face's probability of being a minor, NaN where all are or none, and who is.

    Of one side alone, whoever says the same of everybody would be the best.
    """
    minor = is_minor(ages)
    p = p_minor(prediction, boundary(ages))
    return (p if minor.any() and not minor.all() else np.full(len(p), np.nan)), minor


def cumulative_score(ages: Ages, prediction: Prediction, k: float) -> float:
    """Return the share (0 to 1) of medians at most `k` years off, known as CS(k)."""
    return float((np.abs(_errors(ages, prediction.median)) <= k).mean())


def per_age(ages: Ages, prediction: Prediction) -> dict[int, float]:
    """Return the mean absolute error in years for each whole age (floor), youngest first."""
    errors = np.abs(_errors(ages, prediction.median))
    floors = np.floor(ages).astype(int)
    return {int(age): float(errors[floors == age].mean()) for age in np.unique(floors)}


def _mean(of_face: Float[np.ndarray, " N"], weights: Weights) -> float:
    return float(np.average(of_face, weights=weights))


def _errors(ages: Ages, predicted: Real[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    # [N] against [N, 1] would broadcast to N * N differences and a plausible, wrong number
    if ages.shape != predicted.shape or ages.ndim != 1 or len(ages) == 0:
        raise ValueError(f"expected as many predictions as ages, at least one: {predicted.shape}, {ages.shape}")
    return predicted.astype(np.float64) - ages.astype(np.float64)

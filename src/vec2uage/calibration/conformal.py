"""Split conformal prediction: the errors on faces of known ages become the distribution around a predicted age.

Vovk et al. 2017 ("Nonparametric predictive distributions based on conformal prediction"), computed by `crepes`
(Bostroem 2022), Mondrian: separately for bins of the predicted age, and for values of columns of the data. Where the
faces to come are exchangeable with those it was fitted to, an interval of a level covers at least that share of each
bin on average over both; nothing is promised for faces of another source.
"""

import logging
import math
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Integer, Real
from pydantic import Field, FiniteFloat, PositiveInt, model_validator

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.calibration.base import Calibration, Columns, FittedCalibration
from vec2uage.config.settings import settings
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.piecewise import Quantiles

log = logging.getLogger(__name__)

Scale = Literal["none", "spread"]
Values = tuple[str, ...]  # of the columns, in their order
_SPREAD_LEVEL = 0.9  # of the interval whose width is a prediction's spread
_LEAST_SPREAD = 0.1  # years: members of an ensemble that agree to the day are not so sure
_STEP = 200  # levels a unit: those of every whole percentage's two-sided interval are among them


def residuals_needed(level: float) -> int:
    """Return how many errors it takes for a two-sided interval of a level between 0 and 1.

    >>> residuals_needed(0.9), residuals_needed(0.95)
    (19, 39)
    """
    return math.ceil(2 / (1 - level) - 1e-9) - 1  # 2 / (1 - 0.9) is a little above 20


@settings
class Conformal(Calibration):
    """Conformal predictive distributions by bins of the predicted age, and by columns of the data."""

    level: Annotated[float, Field(ge=0.9, lt=1)] = 0.95
    """The highest two-sided level that every bin must give; 0.9 at least, which predictions.csv has."""
    bins: PositiveInt = 5
    """Bins of the predicted age, of as many calibration faces each; those too small for `level` are merged."""
    columns: tuple[Literal["gender", "source"], ...] = ()
    """Columns of the data whose values are calibrated apart, each combination of values with enough faces."""
    scale: Scale = "none"
    """`spread`: errors are measured in units of the width of the prediction's own 90% interval."""

    def fit(self, prediction: Prediction, ages: Real[np.ndarray, " N"], columns: Columns) -> "FittedConformal":
        """Fit to the errors of the medians; UserError for too few faces, and for points with `scale=spread`."""
        needed = residuals_needed(self.level)
        if len(ages) < needed:
            raise UserError(
                f"too few faces to calibrate on: {len(ages):,}, but calibrate.level={self.level:g} needs {needed:,}"
            )
        for name in self.columns:
            if not any(columns[name]):
                raise UserError(
                    f"calibrate.columns: of no face to calibrate on the {name} is known: leave {name} out, or give a "
                    "file that has such a column"
                )
        predicted = prediction.median.astype(np.float64)
        residuals = ages.astype(np.float64) - predicted
        sigmas = _sigmas(prediction, self.scale)
        values = _values(columns, self.columns, len(ages))
        names = sorted(set(values))
        rows = {name: np.array([value == name for value in values]) for name in names}
        large = [name for name in names if rows[name].sum() >= needed]
        small = [name for name in names if name not in large]
        wanted = [(name,) for name in large if self.columns] + ([tuple(small)] if small else [])

        def group(of: tuple[Values, ...], chosen: Bool[np.ndarray, " N"]) -> Group:
            edges = _edges(predicted[chosen], self.bins, needed)
            bins = np.searchsorted(edges, predicted[chosen], side="right")
            offsets = _offsets(residuals[chosen], sigmas[chosen], bins, self.levels)
            counts = np.bincount(bins, minlength=len(edges) + 1)
            return Group(values=of, edges=edges.tolist(), counts=counts.tolist(), offsets=offsets.tolist())

        everyone = group((), np.ones(len(ages), dtype=bool))
        chosen = {of: np.any([rows[name] for name in of], axis=0) for of in wanted}
        groups = tuple(group(of, mask) for of, mask in chosen.items() if mask.sum() >= needed)
        return FittedConformal(
            level=self.level,
            bins=self.bins,
            columns=self.columns,
            scale=self.scale,
            levels=self.levels,
            groups=groups,
            everyone=everyone,
            pooled=tuple(small) if small and not any(tuple(small) == g.values for g in groups) else (),
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels at which distributions are told, between 0 and 1: those of `level` among them."""
        outer = (1 - self.level) / 2
        below = {*(np.arange(1, _STEP // 2) / _STEP).tolist(), round(outer, 12)}
        return (*sorted(below), 0.5, *sorted(1 - level for level in below))


@settings
class Group:
    """What was learnt from the faces of one or several combinations of values, by bins of the predicted age (years)."""

    values: tuple[Values, ...]
    edges: tuple[FiniteFloat, ...]
    """Between the bins, ascending; an age on an edge belongs above it."""
    counts: tuple[PositiveInt, ...]
    offsets: tuple[tuple[FiniteFloat, ...], ...]
    """The errors of each bin at the levels: what is added to a predicted age, times its spread where scaled."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Group":
        ascending = all(np.all(np.diff(numbers) >= 0) for numbers in (self.edges, *self.offsets))
        if not (len(self.counts) == len(self.offsets) == len(self.edges) + 1 and ascending):
            raise ValueError("bins, counts and offsets do not fit each other")
        return self

    def text(self, name: str) -> str:
        """Return its bins and counts in one line."""
        ends = ["", *(f"{edge:.1f}" for edge in self.edges), ""]
        bins = [
            f"{f'{low} to {high}' if low and high else f'from {low}' if low else f'up to {high}' if high else 'any'}: "
            f"{count:,}"
            for low, high, count in zip(ends, ends[1:], self.counts, strict=False)
        ]
        return f"  {name}, faces by predicted age: {'; '.join(bins)}"


@settings
class FittedConformal(FittedCalibration):
    """Errors at levels, by bins."""

    kind: Literal["conformal"] = "conformal"
    level: Annotated[float, Field(ge=0.9, lt=1)]
    bins: PositiveInt
    """Those asked for."""
    columns: tuple[Literal["gender", "source"], ...]
    scale: Scale
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...]
    groups: tuple[Group, ...]
    everyone: Group
    """Of all faces: for those whose values were not seen, or by too few."""
    pooled: tuple[Values, ...]
    """The combinations of values that had too few faces, even together."""

    @model_validator(mode="after")
    def _is_whole(self) -> "FittedConformal":
        widths = {len(offsets) for group in (self.everyone, *self.groups) for offsets in group.offsets}
        lengths = {len(values) for group in self.groups for values in group.values} | set(map(len, self.pooled))
        if widths != {len(self.levels)} or not np.all(np.diff(self.levels) > 0) or lengths - {len(self.columns)}:
            raise ValueError("levels, columns and groups do not fit each other")
        return self

    def __call__(self, prediction: Prediction, columns: Columns) -> Quantiles:
        """Return ages at levels, 0 or more; beyond what the errors of a bin can tell, they stay at its outermost."""
        predicted = prediction.median.astype(np.float64)
        offsets = np.empty((len(predicted), len(self.levels)))
        index = self._group_index(_values(columns, self.columns, len(predicted)))
        for number, group in enumerate((self.everyone, *self.groups)):
            own = np.flatnonzero(index == number)
            bins = np.searchsorted(group.edges, predicted[own], side="right")
            offsets[own] = np.array(group.offsets)[bins]
        ages = predicted[:, None] + _sigmas(prediction, self.scale)[:, None] * offsets
        levels = np.broadcast_to(np.array(self.levels), ages.shape)  # not shared: no 200 columns in predictions.csv
        return Quantiles(levels, np.maximum(ages, 0))

    def about(self) -> dict[str, Any]:
        """Return all but the levels and the errors at them."""

        def bins(group: Group) -> dict[str, Any]:
            return {"values": group.values, "edges": group.edges, "counts": group.counts}

        of_groups = {"groups": [bins(group) for group in self.groups], "everyone": bins(self.everyone)}
        return {name: value for name, value in self.to_json().items() if name != "levels"} | of_groups

    def _group_index(self, values: Sequence[Values]) -> Integer[np.ndarray, " N"]:
        """Return for each face the number of its group, 0 for everyone."""
        number = {value: k for k, group in enumerate(self.groups, start=1) for value in group.values}
        known = {*number, *self.pooled}
        if self.columns and (unseen := sum(value not in known for value in values)):
            log.warning(
                "%s of %s faces are of a %s that the calibration has not seen: they are calibrated as everyone",
                f"{unseen:,}",
                f"{len(values):,}",
                " and ".join(self.columns),
            )
        return np.array([number.get(value, 0) for value in values], dtype=np.int64)

    def text(self) -> str:
        """Return the bins with their counts, and what was merged as it had too few faces for the level."""
        needed = residuals_needed(self.level)
        lines = [f"conformal, intervals up to {100 * self.level:g}% ({counted(needed, 'face')} a bin or more)"]
        shown = {_shown(group.values): group for group in self.groups} | {"everyone": self.everyone}
        for name, group in shown.items():
            lines.append(group.text(name))
            if merged := self.bins - len(group.counts):
                lines.append(f"    {counted(merged, 'bin')} of {self.bins} merged with a neighbour: too few faces")
        if others := [group for group in self.groups if len(group.values) > 1]:
            lines.append(f"  merged into others, too few faces each: {_listed(others[0].values)}")
        if self.pooled:
            lines.append(f"  calibrated as everyone, too few faces: {_listed(self.pooled)}")
        return "\n".join(lines)


def _shown(values: tuple[Values, ...]) -> str:
    return _listed(values) if len(values) == 1 else "others"


def _listed(values: Sequence[Values]) -> str:
    return ", ".join(" ".join(part or "unknown" for part in value) for value in values)


def _values(columns: Columns, names: Sequence[str], count: int) -> list[Values]:
    """Return the values of each face in the named columns."""
    return list(zip(*(map(str, columns[name]) for name in names), strict=True)) if names else [()] * count


def _sigmas(prediction: Prediction, scale: Scale) -> Float[np.ndarray, " N"]:
    """Return the units, in years, in which the error of each face is measured."""
    if scale == "none":
        return np.ones(len(prediction))
    if not prediction.has_spread:
        raise UserError("calibrate.scale=spread: the model gives one number a face, without a spread: set it to none")
    low, high = prediction.interval(_SPREAD_LEVEL)
    return np.maximum(high - low, _LEAST_SPREAD)


def _edges(predicted: Float[np.ndarray, " n"], bins: int, needed: int) -> Float[np.ndarray, " _"]:
    """Return the inner edges of quantile bins, of which each has enough rows: the smallest is merged until it has."""
    edges = np.unique(np.quantile(predicted, np.arange(1, bins) / bins))
    while len(edges):
        counts = np.bincount(np.searchsorted(edges, predicted, side="right"), minlength=len(edges) + 1)
        if counts.min() >= needed:
            break
        least = int(counts.argmin())
        neighbours = [k for k in (least - 1, least + 1) if 0 <= k < len(counts)]
        smaller = min(neighbours, key=lambda k: counts[k])
        edges = np.delete(edges, min(least, smaller))
    return edges


def _offsets(
    residuals: Float[np.ndarray, " n"],
    sigmas: Float[np.ndarray, " n"],
    bins: Integer[np.ndarray, " n"],
    levels: Sequence[float],
) -> Float[np.ndarray, "b Q"]:
    """Return the errors of each bin at the levels: below the middle the next lower one, above it the next higher one.

    Counted as if there were one more, of the face to come. Levels that so few errors cannot give are at the outermost.
    """
    from crepes import ConformalPredictiveSystem  # pandas comes with it

    percentiles = [round(100 * level, 9) for level in levels]
    lower = [p for p in percentiles if p <= 50]
    higher = [p for p in percentiles if p >= 50]
    numbers = np.unique(bins)
    system = ConformalPredictiveSystem().fit(residuals, sigmas=sigmas, bins=bins)
    ask: dict[str, Any] = {"y_hat": np.zeros(len(numbers)), "sigmas": np.ones(len(numbers)), "bins": numbers}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the no. of calibration examples is too small")
        below = system.predict_percentiles(**ask, lower_percentiles=lower)
        above = system.predict_percentiles(**ask, higher_percentiles=higher)
    middle = (below[:, -1:] + above[:, :1]) / 2
    offsets = np.concatenate([below[:, :-1], middle, above[:, 1:]], axis=1)
    units = residuals / sigmas
    outermost = np.array([(units[bins == k].min(), units[bins == k].max()) for k in numbers])
    return np.clip(offsets, outermost[:, :1], outermost[:, 1:])

"""The pictures of how sure predictions are, and of whom a threshold takes for what."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Real

from vec2uage.evaluation.breakdown import Group
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.operating import FEWEST, OperatingRow, OperatingTable
from vec2uage.predictions.reliability import PIT_BINS, Reliability, coverage, pit_histogram, pit_p, share_interval
from vec2uage.statistics.bootstrap import Interval

# Of Okabe and Ito's palette, whose colours stay distinct for the colour-blind.
_BLUE, _SKY, _VERMILION, _GREY = "#0072B2", "#56B4E9", "#D55E00", "0.65"
_LEVELS = np.arange(0.05, 1, 0.05)


def uncertainty(
    ages: Real[np.ndarray, " N"],
    prediction: Prediction,
    groups: Sequence[Group],
    curve: Reliability | None,
) -> Any:
    """Return a figure: coverage against level, PIT histogram, reliability of P(age < 18), intervals by age (years).

    `curve` is None where all faces are minors, or none is.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.6), dpi=120, layout="constrained")
    (of_levels, of_pit), (of_curve, of_ages) = figure.subplots(2, 2)
    pit = prediction.pit(ages)
    _draw_coverage(of_levels, pit)
    _draw_pit(of_pit, pit)
    _draw_reliability(of_curve, curve)
    _draw_ages(of_ages, [group for group in groups if group.column == "age"])
    for axes in figure.axes:
        axes.title.set_fontsize(10)
    return figure


def operating(table: OperatingTable) -> Any:
    """Return a figure: how often each age is taken for the other side of the thresholds T = 18, and of the last."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    shown = sorted({0, len(table.thresholds) - 1})
    figure = Figure(figsize=(9, 3.4 * len(shown)), dpi=120, layout="constrained")
    single = [row for row in table.rows if "-" not in row.ages]
    for axes, place in zip(np.atleast_1d(figure.subplots(len(shown), sharex=True)), shown, strict=True):
        for minors, colour, what in ((True, _VERMILION, "T or older"), (False, _BLUE, "younger than T")):
            rows = [row for row in single if row.is_minor == minors]
            for small, tone in ((False, colour), (True, _GREY)):
                _draw_rates(axes, [row for row in rows if (row.faces < FEWEST) == small], place, tone, minors)
            if rows:
                axes.plot([], [], "o" if minors else "s", color=colour, label=f"taken for {what}")
        axes.axvline(17.5, color="0.5", linewidth=1, linestyle=":")
        if any(row.faces < FEWEST for row in single):
            axes.plot([], [], "o", color=_GREY, label=f"fewer than {FEWEST} faces")
        axes.set(ylabel="faces (%)", ylim=(-3, 103), title=f"T = {table.thresholds[place]} years")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=9)
    axes.set_xlabel("true age (years)")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True))
    return figure


def _draw_rates(axes: Any, rows: Sequence[OperatingRow], place: int, colour: str, minors: bool) -> None:
    if rows:
        rates = [row.rates[place].times(100.0) for row in rows]
        _draw_intervals(axes, [float(row.ages) for row in rows], rates, colour, "o" if minors else "s")


def _draw_intervals(axes: Any, at: Sequence[float], found: Sequence[Interval], colour: str, marker: str) -> None:
    estimates = np.array([each.estimate for each in found])
    # an interval without bounds, of faces that are all alike, is its estimate
    low, high = (np.array([getattr(each, bound) for each in found]) for bound in ("low", "high"))
    low, high = (np.where(np.isnan(bound), estimates, bound) for bound in (low, high))
    below, above = np.maximum(estimates - low, 0), np.maximum(high - estimates, 0)
    axes.errorbar(at, estimates, yerr=(below, above), fmt=marker, color=colour, markersize=5, elinewidth=1.4, capsize=2)


def _draw_coverage(axes: Any, pit: Float[np.ndarray, " N"]) -> None:
    covered = coverage(pit, _LEVELS)
    low, high = share_interval(np.round(covered * len(pit)).astype(int), np.full(len(_LEVELS), len(pit)))
    axes.fill_between(100 * _LEVELS, 100 * low, 100 * high, color=_SKY, alpha=0.4, linewidth=0, label="95% interval")
    axes.plot(100 * _LEVELS, 100 * covered, "o-", color=_BLUE, markersize=3.5, label="observed")
    axes.plot((0, 100), (0, 100), color="0.35", linestyle="--", linewidth=1.2, label="as it should be")
    axes.set(xlabel="level of the central interval (%)", ylabel="ages within (%)", title="Coverage")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def _draw_pit(axes: Any, pit: Float[np.ndarray, " N"]) -> None:
    counts = pit_histogram(pit)
    middles = (np.arange(PIT_BINS) + 0.5) / PIT_BINS
    axes.bar(middles, counts, width=0.9 / PIT_BINS, color=_SKY)
    axes.axhline(len(pit) / PIT_BINS, color="0.35", linestyle="--", linewidth=1.2)
    p = pit_p(pit)
    tested = f"uniform: p = {p:.3g}" if np.isfinite(p) else "too few faces to test"
    axes.set(xlabel="level at which the true age lies", ylabel="faces", title=f"PIT histogram ({tested})")
    axes.grid(axis="y", alpha=0.25)


def _draw_reliability(axes: Any, curve: Reliability | None) -> None:
    axes.set(xlabel="P(age < 18), predicted (%)", ylabel="minors (%)", xlim=(-3, 103), ylim=(-3, 103))
    axes.grid(alpha=0.25)
    if curve is None:
        axes.set_title("Reliability of P(age < 18)")
        axes.text(50, 50, "needs minors and adults", ha="center", va="center", color="0.35")
        return
    axes.plot((0, 100), (0, 100), color="0.35", linestyle="--", linewidth=1.2)
    bounds = (100 * of for of in (curve.observed, curve.low, curve.high))
    found = [Interval(*of) for of in zip(*(of.tolist() for of in bounds), strict=True)]
    for small, colour in ((False, _BLUE), (True, _GREY)):
        own = [k for k, n in enumerate(curve.n) if (n < FEWEST) == small]
        if own:
            _draw_intervals(axes, (100 * curve.predicted[own]).tolist(), [found[k] for k in own], colour, "o")
    grey = f", grey: under {FEWEST} faces" if (curve.n < FEWEST).any() else ""
    axes.set_title(f"Reliability of P(age < 18), ECE {curve.error:.3f}{grey}")


def _draw_ages(axes: Any, groups: Sequence[Group]) -> None:
    """Draw the share of ages in 90% intervals, and the mean width of these, by age."""
    from matplotlib.ticker import MaxNLocator

    for small, colour in ((False, _BLUE), (True, _GREY)):
        own = [group for group in groups if group.is_small == small]
        covered = [group.coverage_90.times(100.0) for group in own if group.coverage_90 is not None]
        if covered:
            _draw_intervals(axes, [float(group.value) for group in own], covered, colour, "o")
    axes.axhline(90, color="0.35", linestyle="--", linewidth=1.2)
    axes.set(xlabel="true age (years)", ylabel="ages within 90% intervals (%)", ylim=(-3, 103))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axes.grid(alpha=0.25)
    axes.set_title("90% intervals by age: coverage (points), width (line)")
    widths = axes.twinx()
    known = [(int(group.value), group.width_90.estimate) for group in groups if group.width_90 is not None]
    widths.plot(*zip(*known, strict=True), color=_VERMILION, linewidth=1.4)
    widths.set_ylabel("mean width (years)", color=_VERMILION)
    widths.set_ylim(bottom=0)

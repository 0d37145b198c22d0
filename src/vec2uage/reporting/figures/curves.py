"""Curves: of learning, of range tests, and of the MAE to expect of the best of n runs."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from vec2uage.reporting.figures.bands import BANDS, draw_bands
from vec2uage.reporting.figures.scale import ceiling, set_height
from vec2uage.reporting.figures.style import (
    COLUMN,
    LINE,
    PAGE,
    SMALL,
    Style,
    canvas,
    legend_below,
    lines,
    styled,
    width_for,
    wrapped,
)
from vec2uage.reporting.read_run import Columns, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNING = f"{BANDS}; both are of the runs still training, and end where these are fewer than half."
RANGE_TESTS = (
    "A line is the smoothed loss of a run while its learning rate grows; the tick on it is the rate that the run then "
    "started training with."
)


@styled()
def learning(variants: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> "Figure | None":
    """Draw the validation and the train MAE (years) of the runs of each variant by epoch; None if there is none."""
    from matplotlib.ticker import MaxNLocator

    curves = {name: [run.curve for run in runs if run.curve is not None] for name, runs in variants.items()}
    curves = {name: of_name for name, of_name in curves.items() if of_name}
    if not curves:
        return None
    figure, panels = canvas(PAGE, 2.3, columns=2, across=0.3, sharex=True, sharey=True)
    bands = []
    for axes, (part, title) in zip(panels, {"validation/mae": "Validation", "train/mae": "Train"}.items(), strict=True):
        reached = {name: _reached([curve[part] for curve in of_name]) for name, of_name in curves.items()}
        bands += draw_bands(axes, reached, styles)
        axes.set_xlabel("epochs trained")
        axes.set_title(title)
    # A first epoch may be thousands of years off; what is of interest lies near where the curves end.
    highest = min(max(median.max() for _, median, _ in bands), 4 * max(median[-1] for _, median, _ in bands))
    set_height(panels[0], float(min(low.min() for low, _, _ in bands)), float(highest))
    panels[0].set_ylabel("MAE (years)")
    panels[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    legend_below(figure, lines(styles, list(curves)))
    return figure


def _reached(curves: Sequence[Float[np.ndarray, " _"]]) -> tuple[Int[np.ndarray, " E"], Float[np.ndarray, "N E"]]:
    """Return the epochs (from 1) that at least half of the runs reached, and all curves there; NaN after their ends."""
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = np.where(np.isfinite(curve), curve, np.nan)
    enough = np.flatnonzero(2 * np.isfinite(table).sum(axis=0) >= len(curves))
    return enough + 1, table[:, enough]


@styled()
def range_tests(variants: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> "Figure | None":
    """Draw the range tests of all runs, a panel for each variant that has some; None if no run has one."""
    tested = {
        name: [(run.range_test, run.result.lr) for run in runs if run.range_test is not None]
        for name, runs in variants.items()
    }
    tested = {name: tests for name, tests in tested.items() if tests}
    if not tested:
        return None
    titles = [wrapped(name, 23) for name in tested]
    columns, rows = min(len(tested), 4), ceil(len(tested) / 4)
    title = 0.14 + LINE * max(text.count("\n") for text in titles) + LINE
    figure, panels = canvas(
        PAGE if columns > 2 else COLUMN,
        0.36 + rows * (1.3 + title),
        rows,
        columns,
        top=title,
        across=0.2,
        down=title,
        sharex=True,
        sharey=True,
    )
    for axes, text, (name, tests) in zip(panels, titles, tested.items(), strict=False):
        _draw_tests(axes, tests, styles[name])
        axes.set_title(text, fontsize=SMALL)
    for axes in panels[len(tested) :]:
        axes.set_visible(False)
    for axes in panels[len(tested) - columns : len(tested)]:
        axes.set_xlabel("learning rate")
        axes.tick_params(axis="x", labelbottom=True)
    for axes in panels[::columns]:
        axes.set_ylabel("smoothed loss")
    curves = [curve for tests in tested.values() for curve, _ in tests]
    lowest = min(curve["smoothed"].min() for curve in curves)
    set_height(panels[0], float(lowest), ceiling([curve["smoothed"] for curve in curves]))
    return figure


def _draw_tests(axes: "Axes", tests: Sequence[tuple[Columns, float | None]], style: Style) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import LogLocator, NullLocator

    curves = [np.column_stack([curve["lr"], curve["smoothed"]]) for curve, _ in tests]
    axes.add_collection(LineCollection(curves, colors=style.colour, linewidths=0.6, alpha=0.5))
    found = np.array([(lr, np.interp(lr, curve["lr"], curve["smoothed"])) for curve, lr in tests if lr is not None])
    axes.plot(*found.reshape(-1, 2).T, color="black", linestyle="none", marker="|", markersize=6, markeredgewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_minor_locator(NullLocator())


@styled()
def best_of(expected: Mapping[str, Float[np.ndarray, " _"]], styles: Mapping[str, Style]) -> "Figure":
    """Draw what test MAE (years) to expect of the run that validation chooses of n = 1, 2, ... runs of each variant."""
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = canvas(width_for(list(expected)), 2.2)
    for name, values in expected.items():
        numbers = np.arange(1, len(values) + 1)
        axes.plot(numbers, values, marker=styles[name].marker, markersize=2.2, **styles[name].line)
    groups = list(expected.values())
    most = max(map(len, groups))
    axes.set(xlabel="runs to choose from", ylabel="test MAE (years)", xlim=(0.5, most + 0.5))
    axes.set_title("Expected test MAE of the chosen run")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    set_height(axes, float(min(values.min() for values in groups)), ceiling(groups))
    legend_below(figure, lines(styles, list(expected)))
    return figure

"""The test MAE of every age (paper Figure 9)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from vec2uage.reporting.figures.bands import BANDS, draw_bands
from vec2uage.reporting.figures.scale import limits
from vec2uage.reporting.figures.style import COLUMN, Style, canvas, legend_below, lines, styled, width_for
from vec2uage.reporting.read_run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_AGE = f"{BANDS}, which may lie beyond the axis."


@styled()
def best_runs(runs: Sequence[Run], styles: Mapping[str, Style]) -> "Figure":
    """Draw the test MAE (years) of each age of a few runs, the best first, in the colours of their variants."""
    figure, (axes,) = canvas(COLUMN, 2.1)
    # All may be of one variant: what tells them apart is the line and the marker.
    looks = list(zip(("o", "s", "^", "D", "v"), ("-", "--", ":", "-.", "-"), strict=True))
    drawn = []
    for rank, run in enumerate(runs):
        marker, dashes = looks[rank % len(looks)]
        ages = sorted(run.per_age)
        drawn += axes.plot(
            ages,
            [run.per_age[age] for age in ages],
            label=f"{run.variant}, run {run.label}: {run.test_mae:.2f} years",
            color=styles[run.variant].colour,
            marker=marker,
            linestyle=dashes,
            markerfacecolor=None if rank == 0 else "white",
            markeredgewidth=0.8,
        )
    maes = [mae for run in runs for mae in run.per_age.values()]
    _finish(axes, min(maes), max(maes), "Best runs")
    legend_below(figure, drawn)
    return figure


@styled()
def per_age(variants: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> "Figure":
    """Draw the test MAE (years) of each age over all runs of each variant."""
    figure, (axes,) = canvas(width_for(list(variants)), 2.1)
    bands = draw_bands(axes, {name: _table(runs) for name, runs in variants.items()}, styles)
    # The band of a variant of which some runs went astray must not flatten the others.
    highest = min(max(high.max() for _, _, high in bands), 1.5 * max(median.max() for _, median, _ in bands))
    _finish(axes, min(low.min() for low, _, _ in bands), highest, "All runs")
    legend_below(figure, lines(styles, list(variants)))
    return figure


def _table(runs: Sequence[Run]) -> tuple[Int[np.ndarray, " A"], Float[np.ndarray, "N A"]]:
    ages = sorted(set().union(*(run.per_age for run in runs)))
    return np.array(ages), np.array([[run.per_age.get(age, np.nan) for age in ages] for run in runs])


def _finish(axes: "Axes", lowest: float, highest: float, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="age (years)", ylabel="test MAE (years)", ylim=limits(float(lowest), float(highest)))
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))

"""How the runs of a sweep are distributed: their errors, what choosing by validation is worth, and their cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from vec2uage.base import foreign_text
from vec2uage.reporting.figures.row_panels import number_rows, row_panels
from vec2uage.reporting.figures.scale import ceiling, limits
from vec2uage.reporting.figures.style import (
    CHARACTER,
    COLUMN,
    PAGE,
    SMALL,
    Style,
    canvas,
    legend_below,
    styled,
    width_for,
)
from vec2uage.reporting.read_run import Run
from vec2uage.reporting.selection import Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAES = (
    "Every point is a run. The box holds the middle half of the runs of a variant, if there are five or more, and its "
    "line is their median, also given as a number. Arrows mark runs beyond the axis, with their MAE."
)
RUNTIME = (
    "Means over the runs of a variant; the error bar is one standard deviation to either side. Runs are trained "
    "together in stacks, and the seconds of a run are its share of its stack's time."
)
SELECTION = "Every point is a run. On the dashed line test and validation agree; hollow points lie beyond the axes."


@styled()
def maes(variants: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> "Figure":
    """Draw the test MAE (years) of every run, and beside it the validation MAE (paper Figures 7 and 8)."""
    parts = {
        "test MAE (years)": [np.array([run.test_mae for run in runs]) for runs in variants.values()],
        "validation MAE (years)": [np.array([run.val_mae for run in runs]) for runs in variants.values()],
    }
    values = np.concatenate([group for groups in parts.values() for group in groups])
    highest = ceiling([group for groups in parts.values() for group in groups])
    low, high = limits(float(values.min()), highest, above=0.06 if values.max() <= highest else 0.26)
    sideways = max(map(len, variants)) * CHARACTER > 2.9 / _slots(len(variants))
    figure, panels = row_panels(list(variants), PAGE, 2, 0.24) if sideways else _upright(list(variants))
    for axes, (label, groups) in zip(panels, parts.items(), strict=True):
        for place, (name, group) in enumerate(zip(variants, groups, strict=True)):
            _box(axes, place, group, styles[name], sideways)
            _mark_astray(axes, place, group[group > highest], styles[name], sideways)
        medians = [f"{np.median(group):.2f}" for group in groups]
        if sideways:
            number_rows(axes, "median", medians)
            axes.set(xlabel=label, xlim=(low, high))
        else:
            _number_columns(axes, "median", medians)
            axes.set(ylabel=label, ylim=(low, high))
    return figure


def _upright(names: Sequence[str]) -> "tuple[Figure, list[Axes]]":
    figure, panels = canvas(PAGE, 2.5, columns=2, bottom=0.24, top=0.24, across=0.9, left=0.55, sharex=True)
    panels[0].set_xticks(range(len(names)), list(map(foreign_text.figure, names)))
    middle, half = (len(names) - 1) / 2, _slots(len(names)) / 2
    panels[0].set_xlim(middle - half, middle + half)
    for axes in panels:
        axes.grid(axis="x", visible=False)
        axes.tick_params(axis="x", length=0)
    return figure, panels


def _slots(variants: int) -> float:
    """Return how many variants would fit on an axis: few do not fill it, as boxes would be too wide."""
    return max(variants, 3) + 0.2


def _number_columns(axes: "Axes", head: str, numbers: Sequence[str]) -> None:
    axes.text(-0.03, 1.03, head, transform=axes.transAxes, ha="right", style="italic", fontsize=SMALL)
    for column, number in enumerate(numbers):
        axes.text(column, 1.03, number, transform=axes.get_xaxis_transform(), ha="center", fontsize=SMALL)


def _box(axes: "Axes", place: int, group: Float[np.ndarray, " N"], style: Style, sideways: bool) -> None:
    low, median, high = np.percentile(group, (25, 50, 75))
    ends = np.array([place - 0.32, place + 0.32])
    if len(group) >= 5:
        box = _turned(sideways, np.repeat(ends, 2), np.array([low, high, high, low]))
        axes.fill(*box, facecolor=(style.colour, 0.2), edgecolor=style.colour, linewidth=0.7)
        reach = 1.5 * (high - low)
        inside = group[(group >= low - reach) & (group <= high + reach)]
        for whisker in ((inside.min(), low), (high, inside.max())):
            axes.plot(*_turned(sideways, (place, place), whisker), color=style.colour, linewidth=0.7)
    # Steps of the golden ratio spread any number of points evenly, and the same way each time.
    spread = (np.arange(len(group)) * 0.618034 + 0.5) % 1 - 0.5
    axes.plot(*_turned(sideways, place + 0.5 * spread, group), alpha=0.75, label="runs", **style.points)
    axes.plot(*_turned(sideways, ends, (median, median)), color="black", label="median")


def _mark_astray(axes: "Axes", place: int, group: Float[np.ndarray, " N"], style: Style, sideways: bool) -> None:
    """Put an arrow at the end of the axis for the runs of a group that lie beyond it, with their MAE (years)."""
    if not len(group):
        return
    found = [f"{value:.1f}" for value in np.sort(group)]
    if len(group) > 3:
        found = [f"{len(group)} runs", f"{found[0]} to", found[-1]]
    across = axes.get_yaxis_transform() if sideways else axes.get_xaxis_transform()
    arrow: dict[str, Any] = {"color": style.colour, "marker": ">" if sideways else "^", "markersize": 4}
    axes.plot(*_turned(sideways, place, 0.975), transform=across, **arrow)
    axes.text(
        *_turned(sideways, place, 0.945),
        " ".join(found) if sideways else "\n".join(found),
        transform=across,
        ha="right" if sideways else "center",
        va="center" if sideways else "top",
        fontsize=SMALL - 1,
        linespacing=1,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )


def _turned(sideways: bool, across: Any, along: Any) -> tuple[Any, Any]:
    return (along, across) if sideways else (across, along)


@styled()
def runtime(variants: Mapping[str, Sequence[Run]], styles: Mapping[str, Style]) -> "Figure":
    """Draw the mean seconds of a run by variant, and beside it the epochs until the lowest validation loss, if any."""
    costs: dict[str, list[list[float | None]]] = {
        "seconds of a run": [[run.result.seconds for run in runs] for runs in variants.values()],
        "epochs until the lowest validation loss": [
            [None if run.result.best_epoch is None else run.result.best_epoch + 1 for run in runs]
            for runs in variants.values()
        ],
    }
    if not any(run.result.epochs for runs in variants.values() for run in runs):
        costs.popitem()
    figure, panels = row_panels(list(variants), PAGE if len(costs) > 1 else COLUMN, len(costs), 0.2)
    for axes, (label, groups) in zip(panels, costs.items(), strict=True):
        means = []
        for row, (name, group) in enumerate(zip(variants, groups, strict=True)):
            known = np.array([value for value in group if value is not None])
            means.append(f"{known.mean():,.1f}" if len(known) else "\N{EN DASH}")
            if len(known):
                axes.barh(row, known.mean(), 0.6, color=styles[name].colour, alpha=0.75)
            if len(known) > 1:
                axes.errorbar(
                    known.mean(), row, xerr=known.std(ddof=1), color="black", linewidth=0.9, capsize=2, capthick=0.9
                )
        number_rows(axes, "mean", means)
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
    return figure


@styled()
def selection(
    variants: Mapping[str, Sequence[Run]], styles: Mapping[str, Style], selected: Selection, title: str
) -> "Figure":
    """Draw the test MAE of every run against its validation MAE (years); mark the chosen run and the luckiest."""
    from matplotlib.lines import Line2D

    maes = {name: np.array([(run.val_mae, run.test_mae) for run in runs]) for name, runs in variants.items()}
    values = np.concatenate(list(maes.values()))
    highest = ceiling([group for pair in maes.values() for group in pair.T])
    astray = int((values > highest).any(axis=1).sum())
    low, high = limits(float(values.min()), highest, above=0.15 if astray else 0.06)
    figure, (axes,) = canvas(width_for(list(variants)), 2.75, left=0.45, right=0.12)
    axes.plot((low, high), (low, high), color="0.6", linewidth=0.8, linestyle=(0, (4, 2)))
    for name, group in maes.items():
        far = (group > highest).any(axis=1)
        axes.plot(*group[~far].T, alpha=0.75, **styles[name].points)
        edge = group[far].clip(max=high)
        axes.plot(*edge.T, clip_on=False, **styles[name].points | {"markerfacecolor": "white", "markeredgewidth": 0.8})
    marks = []
    for label, run, marker in (
        ("chosen by validation", selected.chosen, "o"),
        ("lowest test MAE", selected.luckiest, "D"),
    ):
        look: dict[str, Any] = {"color": "black", "linestyle": "none", "marker": marker, "markersize": 6.5}
        look |= {"markerfacecolor": "none", "markeredgewidth": 1}
        marks += axes.plot(run.val_mae, run.test_mae, label=label, **look)
    if astray:
        note = f"{astray} run{'s' if astray > 1 else ''} beyond, to {values.max():.1f}"
        axes.text(0.02, 0.94, note, transform=axes.transAxes, va="center", fontsize=SMALL - 1)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="validation MAE (years)", ylabel="test MAE (years)")
    axes.set_title(title)
    dots = [Line2D([], [], label=name, **styles[name].points) for name in variants]
    legend_below(figure, [*dots, *marks])
    return figure

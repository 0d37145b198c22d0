"""The course of a search: its trials in time, against each option, and against each other."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Real

from vec2uage.reporting.figures.row_panels import number_rows, row_panels
from vec2uage.reporting.figures.scale import ceiling, limits
from vec2uage.reporting.figures.style import (
    CHARACTER,
    COLUMN,
    PAGE,
    canvas,
    legend_below,
    styled,
    wrapped,
)
from vec2uage.reporting.searched import Searched, Values
from vec2uage.runs.search_record import Choices, Numbers, SearchRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HISTORY = (
    "Every point is a trial, the mean over its runs; the line is the best so far. Marks on the top edge are trials "
    "without a score; triangles lie far beyond the axis."
)
IMPORTANCE = (
    "Share of the score's variance over the whole space that each option explains by itself (functional ANOVA of a "
    "random forest, Hutter, Hoos and Leyton-Brown 2014); what is missing to 100% is due to several together. Pruned "
    "trials count with what they had reached, diverged ones do not: what decides which diverge may matter more."
)
SLICES = (
    "The score of every trial against each of its options, from the most important to the least; later trials are "
    "darker."
)
PRUNING = (
    "How good trials were after the epochs at which they were compared; those that were pruned end with a triangle."
)
FRONT = "Every point is a trial. No other one is better than those on the line in every objective."

_COLOUR, _BEST = "#0072B2", "#D55E00"
_WITHOUT: dict[str, dict[str, Any]] = {
    "pruned": {"marker": "v", "color": "#E69F00", "markersize": 3.5},
    "diverged": {"marker": "x", "color": "#D55E00", "markersize": 3.5, "markeredgewidth": 0.9},
    "failed": {"marker": "+", "color": "#000000", "markersize": 4.5, "markeredgewidth": 0.9},
}
"""How trials without a score are drawn, by their status."""
_ACROSS = 3  # panels side by side
_WIDTH = 1.6  # inches of a panel, for the names of choices
_LONGEST = 24  # characters in a line of one


@styled()
def history(search: Searched) -> "Figure":
    """Draw the score of each trial by each objective, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    record = search.record
    figure, panels = canvas(PAGE, 0.24 + len(search.values) * 2.0, len(search.values), down=0.6)
    for axes, values in zip(panels, search.values, strict=True):
        numbers = np.array([trial.number for trial in values.trials])
        _scores(axes, numbers, values)
        axes.step(numbers, values.best_so_far, where="post", color=_BEST, label="best so far")
        _without_score(axes, record, lambda trial: trial.number)
        _best(axes, numbers, values, record)
        _score_axis(axes, values)
        axes.set_xlabel("trial")
        axes.set_xlim(-1, max(trial.number for trial in record.trials) + 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    _legend(figure, panels[0])
    return figure


@styled()
def pruning(search: Searched) -> "Figure | None":
    """Draw how good each trial was at the epochs at which a pruner has compared it; None if there was none."""
    from matplotlib.ticker import MaxNLocator, NullLocator

    compared = [(trial.status == "pruned", trial.compared) for trial in search.record.trials if trial.compared]
    if not compared:
        return None
    figure, (axes,) = canvas(COLUMN, 2.2, left=0.55)
    for is_pruned, values in compared:
        colour = _WITHOUT["pruned"]["color"] if is_pruned else _COLOUR
        label = "pruned" if is_pruned else "went on"
        axes.plot(*zip(*values.items(), strict=True), color=colour, linewidth=0.7, alpha=0.7, label=label)
        if is_pruned:
            axes.plot(*list(values.items())[-1], **_WITHOUT["pruned"])
    reached = [np.array(list(values.values())) for _, values in compared]
    epochs = sorted({epoch for _, values in compared for epoch in values})
    axes.set_xscale("log")
    axes.set_xticks(epochs, map(str, epochs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_ylim(*limits(min(map(float, map(np.min, reached))), ceiling(reached)))
    of_score = search.values[0]  # a pruner compares by one objective
    lowest = of_score.metric.best == "lowest"
    axes.set(xlabel="epochs trained", ylabel=_label(of_score) if lowest else f"{of_score.label}, lower is better")
    _legend(figure, axes)
    return figure


@styled()
def importances(shares: Mapping[str, Mapping[str, float]]) -> "Figure":
    """Draw how much of each score's variance each option explains, by the label of the score and by option."""
    options = list(next(iter(shares.values())))
    figure, panels = row_panels(options, PAGE if len(shares) > 1 else 4.6, len(shares), 0.2)
    for axes, (label, of_options) in zip(panels, shares.items(), strict=True):
        axes.barh(range(len(options)), [100 * of_options[o] for o in options], 0.6, color=_COLOUR, alpha=0.75)
        number_rows(axes, "share", [f"{of_options[option]:.0%}" for option in options])
        axes.set_xlabel(f"variance of {label} (%)")
        axes.set_xlim(left=0)
    return figure


@styled()
def slices(record: SearchRecord, values: Values, options: Sequence[str]) -> "Figure":
    """Draw the score of each trial against each of the options, in this order."""
    columns, rows = min(len(options), _ACROSS), ceil(len(options) / _ACROSS)
    turned = [len(choice) for key in options if _is_turned(record.space[key]) for choice in _choices(record.space[key])]
    below = 0.4 + min(max(turned, default=0), _LONGEST) * CHARACTER
    figure, panels = canvas(
        PAGE if columns > 1 else COLUMN,
        0.1 + rows * (1.5 + below),
        rows,
        columns,
        across=0.2,
        down=below + 0.1,
        bottom=below,
        top=0.1,
        sharey=True,
    )
    for axes, key in zip(panels, options, strict=False):
        _slice(axes, record, values, key)
    for axes in panels[len(options) :]:
        axes.set_visible(False)
    _score_axis(panels[0], values)
    for axes in panels:
        axes.set_ylabel("")
    for axes in panels[::columns]:
        axes.set_ylabel(_label(values))
    _legend(figure, panels[0])
    return figure


def _choices(may_be: Numbers | Choices) -> tuple[str, ...]:
    return may_be.choices if isinstance(may_be, Choices) else ()


def _is_turned(may_be: Numbers | Choices) -> bool:
    """Tell whether the names of choices would not stand side by side below a panel."""
    return sum(map(len, _choices(may_be))) * CHARACTER > _WIDTH


def _slice(axes: "Axes", record: SearchRecord, values: Values, key: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    may_be, places = record.space[key], _places(record, key)
    at = np.array([places[trial.number] for trial in values.trials])
    _scores(axes, at, values, shade=True)
    _without_score(axes, record, lambda trial: places[trial.number])
    _best(axes, at, values, record)
    axes.set_xlabel(wrapped(key, 34))
    if isinstance(may_be, Choices):
        names = [wrapped(choice, _LONGEST) for choice in may_be.choices]
        axes.set_xticks(range(len(names)), names, rotation=90 * _is_turned(may_be))
        axes.set_xlim(-0.6, len(names) - 0.4)
    elif may_be.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        reach = (may_be.high / may_be.low) ** 0.04
        axes.set_xlim(may_be.low / reach, may_be.high * reach)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        reach = 0.04 * (may_be.high - may_be.low)
        axes.set_xlim(may_be.low - reach, may_be.high + reach)


def _places(record: SearchRecord, key: str) -> dict[int, float]:
    """Return where each trial stands on the axis of an option, by its number; those of one choice side by side."""
    may_be = record.space[key]
    if not isinstance(may_be, Choices):
        return {trial.number: float(trial.options[key]) for trial in record.trials}
    # Steps of the golden ratio spread any number of points evenly, and the same way each time.
    return {
        trial.number: may_be.choices.index(str(trial.options[key])) + 0.6 * ((trial.number * 0.618034) % 1 - 0.5)
        for trial in record.trials
    }


@styled()
def front(search: Searched) -> "Figure":
    """Draw the trials by each pair of several objectives, and which no other one beats in all of them."""
    record, pairs = search.record, list(combinations(search.values, 2))
    columns, rows = min(len(pairs), _ACROSS), ceil(len(pairs) / _ACROSS)
    width = COLUMN if columns == 1 else PAGE
    figure, panels = canvas(width, rows * 2.4, rows, columns, across=0.6, down=0.55, top=0.12, bottom=0.4, left=0.55)
    for axes, (x, y) in zip(panels, pairs, strict=False):
        shown = x.is_shown & y.is_shown
        axes.plot(
            x.scores[shown], y.scores[shown], color=_COLOUR, linestyle="none", marker="o", alpha=0.6, label="trial"
        )
        best = sorted(
            (xs, ys) for t, xs, ys in zip(x.trials, x.scores, y.scores, strict=True) if t.number in record.best
        )
        axes.plot(*np.array(best).T, color=_BEST, marker="o", linewidth=0.8, label="beaten by no other")
        axes.set(xlabel=_label(x), ylabel=_label(y))
    for axes in panels[len(pairs) :]:
        axes.set_visible(False)
    _legend(figure, panels[0])
    return figure


def _scores(axes: "Axes", at: Real[np.ndarray, " T"], values: Values, shade: bool = False) -> None:
    """Draw trials with scores; those beyond the axis as triangles at its edge."""
    shown = values.is_shown
    alphas = np.linspace(0.25, 1, len(at)) if shade else np.full(len(at), 0.7)
    axes.scatter(at[shown], values.scores[shown], s=9, color=_COLOUR, alpha=alphas[shown], linewidths=0, label="trial")
    low, high = _range(values)
    for beyond, edge, marker in ((values.scores > high, high, "^"), (values.scores < low, low, "v")):
        if (far := beyond & ~shown).any():
            points: Any = {"marker": marker, "s": 14, "facecolors": "white", "edgecolors": _COLOUR, "linewidths": 0.8}
            axes.scatter(at[far], np.full(far.sum(), edge), clip_on=False, **points)


def _without_score(axes: "Axes", record: SearchRecord, place: Any) -> None:
    for status, look in _WITHOUT.items():
        at = [place(trial) for trial in record.trials if trial.status == status]
        if at:
            top = axes.get_xaxis_transform()
            axes.plot(at, [0.97] * len(at), transform=top, linestyle="none", label=status, clip_on=False, **look)


def _best(axes: "Axes", at: Real[np.ndarray, " T"], values: Values, record: SearchRecord) -> None:
    """Ring the best trials."""
    best = np.array([trial.number in record.best for trial in values.trials])
    look: dict[str, Any] = {"color": "black", "linestyle": "none", "marker": "o", "markersize": 6.5}
    look |= {"markerfacecolor": "none", "markeredgewidth": 1}
    axes.plot(at[best], values.scores[best], label="best" if record.chosen else "beaten by no other", **look)


def _range(values: Values) -> tuple[float, float]:
    shown = values.scores[values.is_shown]
    return limits(float(shown.min()), float(shown.max()), above=0.14)


def _score_axis(axes: "Axes", values: Values) -> None:
    axes.set_ylim(*_range(values))
    axes.set_ylabel(_label(values))


def _label(values: Values) -> str:
    unit = f" ({values.metric.unit})" if values.metric.unit else ""
    return f"{values.label}{unit}"


def _legend(figure: "Figure", axes: "Axes") -> None:
    """Name all that the panel holds once, in a strip below."""
    handles = {str(label): handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend_below(figure, list(handles.values()))

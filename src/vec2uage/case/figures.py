"""The figures of a case: how old its faces are estimated to be, and how likely they are minors'."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vec2uage.case.summary import AgeBin
from vec2uage.reporting.figures.style import COLUMN, OTHERS, canvas, legend_below, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Okabe and Ito's palette, which the colour-blind can tell apart.
_SKY, _ORANGE, _VERMILION, _GREY = "#56B4E9", OTHERS[1], "#D55E00", "0.35"


@styled()
def draw_ages(ages: Sequence[AgeBin], boundary: float) -> "Figure":
    """Draw the faces of each whole year of estimated age; below, where their 90% intervals begin and end on average.

    Intervals of a model that gives points are none (NaN). `boundary` is the line between minors and adults
    (`predictions.minors.boundary`).
    """
    middles = np.array([of.age + 0.5 for of in ages])
    ends = np.array([(of.low, of.high) for of in ages])
    panels = 2 if np.isfinite(ends).all() else 1
    figure, (of_faces, *of_intervals) = canvas(
        COLUMN, 0.58 + 1.4 * panels, rows=panels, left=0.55, down=0.2, sharex=True
    )
    of_faces.bar(middles, [of.faces for of in ages], 0.9, color=_SKY)
    of_faces.set_title("Estimated ages")
    of_faces.set_ylabel("faces")
    _count_faces(of_faces)
    for axes in of_intervals:
        axes.vlines(middles, *ends.T, color=_SKY, linewidth=1.6)
        axes.plot(middles, middles, ".", color="black", markersize=2.5)
        axes.axhline(boundary, color=_GREY, linestyle=":", linewidth=0.9)
        axes.set_ylabel("90% interval (years)")
    for axes in figure.axes:
        axes.axvline(boundary, color=_GREY, linestyle=":", linewidth=0.9)
    figure.axes[-1].set_xlabel("estimated age (years)")
    return figure


@styled()
def draw_p_minor(p_minor: Sequence[int], flagged: Sequence[int] | None) -> "Figure":
    """Draw how many faces have which P(age < 18), of so many steps of one size, and how many of these are flagged."""
    figure, (axes,) = canvas(COLUMN, 2.1, left=0.55)
    counts, bins = np.asarray(p_minor), len(p_minor)
    # a central 90% interval has 5% on either side of it
    held = (
        ("90% interval of adults alone", _SKY, slice(0, bins // 20)),
        ("of both", _ORANGE, slice(bins // 20, bins - bins // 20)),
        ("of minors alone", _VERMILION, slice(bins - bins // 20, bins)),
    )
    handles: list[Any] = [
        axes.bar((np.arange(bins)[of] + 0.5) / bins, counts[of], 0.9 / bins, color=colour,
                 label=f"{name} ({counts[of].sum():,})")
        for name, colour, of in held
    ]  # fmt: skip
    if flagged is not None:
        # no line where flags begin: that is by another P than this one, if the model is calibrated
        edges = np.linspace(0, 1, bins + 1)
        handles.append(axes.stairs(flagged, edges, color="black", linewidth=1, label=f"flagged ({sum(flagged):,})"))
    axes.set(xlabel="P(age < 18)", ylabel="faces", xlim=(-0.02, 1.02))
    axes.set_title("How likely a minor's")
    _count_faces(axes)
    legend_below(figure, handles)
    return figure


def _count_faces(axes: Any) -> None:
    """Put whole numbers on the upright axis, as there are no halves of faces."""
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter("{x:,.0f}")

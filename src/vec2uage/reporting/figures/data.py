"""What the faces are: counts by age, source, gender and kind (paper Figures 3 to 5)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vec2uage.reporting.figures.style import COLUMN, OTHERS, canvas, legend_below, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RowCounts = Sequence[Mapping[str, str]]
"""A data.csv: how many faces there are of each part, kind, source, gender and age."""
TRAINING_ROWS = (
    "Faces that are repeated or augmented make up for ages with few photographed ones; those are drawn at the bottom."
)
# Unlike the colours of the optimisers.
_GENDERS = {"female": OTHERS[1], "male": OTHERS[0], "": OTHERS[2]}
_KINDS = {"photographed": OTHERS[0], "augmented": OTHERS[1], "repeated": OTHERS[2]}


@styled()
def faces_by_source(row_counts: RowCounts) -> "Figure | None":
    """Draw the photographed faces of each whole age, sources on top of each other; None if there are none."""
    faces = _photographed(row_counts)
    sources = dict.fromkeys(row["source"] for row in faces)
    colours = {source: OTHERS[k % len(OTHERS)] for k, source in enumerate(sources)}
    return _bars(faces, "source", colours, "Photographed faces by source", "faces", stacked=True)


@styled()
def faces_by_gender(row_counts: RowCounts) -> "Figure | None":
    """Draw the photographed faces of each whole age and gender; None if no gender is known."""
    faces = _photographed(row_counts)
    if not any(row["gender"] for row in faces):
        return None
    return _bars(faces, "gender", _GENDERS, "Photographed faces by gender", "faces", stacked=False)


@styled()
def training_rows(row_counts: RowCounts) -> "Figure | None":
    """Draw the rows trained on of each whole age, by how they came to be; None if there are none."""
    return _bars(
        [row for row in row_counts if row["part"] == "train"],
        "kind",
        _KINDS,
        "Training rows by kind",
        "rows",
        stacked=True,
    )


def _photographed(row_counts: RowCounts) -> RowCounts:
    return [row for row in row_counts if row["kind"] == "photographed"]


def _bars(
    row_counts: RowCounts, column: str, colours: Mapping[str, str], title: str, unit: str, stacked: bool
) -> "Figure | None":
    """Draw bars for each whole age: stacked or side by side, one for each value of the column that has a colour."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    counts: dict[str, Counter[int]] = {name: Counter() for name in colours}
    for row in row_counts:
        counts[row[column]][int(row["age"])] += int(row["faces"])
    counts = {name: of_age for name, of_age in counts.items() if of_age}
    if not counts:
        return None
    ages = np.array(sorted(set().union(*counts.values())))
    width = 0.8 if stacked else 0.8 / len(counts)
    figure, (axes,) = canvas(COLUMN, 1.9, left=0.55)
    base, bars = np.zeros(len(ages)), []
    for k, (name, of_age) in enumerate(counts.items()):
        heights = np.array([of_age[age] for age in ages.tolist()])
        shift = 0.0 if stacked else (k - (len(counts) - 1) / 2) * width
        label = f"{name or 'unknown'} ({heights.sum():,})"
        bars.append(axes.bar(ages + shift, heights, width, bottom=base, color=colours[name], label=label))
        base = base + heights if stacked else base
    axes.set(xlabel="age (years)", ylabel=unit, xlim=(ages.min() - 0.7, ages.max() + 0.7))
    axes.set_ylim(0, 1.05 * axes.dataLim.y1)  # matplotlib leaves no room above a bar that begins where others end
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="x", visible=False)
    legend_below(figure, bars)
    return figure

"""What all figures have in common: print sizes, fonts, margins in inches, and one look for each variant."""

import textwrap
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from vec2uage.base import foreign_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.35, 7.0
"""Widths of a figure in inches: one and two columns of a paper."""
TEXT, SMALL = 7.5, 6.5
"""Font sizes in points: labels and titles; ticks, legends and notes."""
CHARACTER, LINE = 0.056, 0.13
"""What a character and a line of small text take, in inches."""
_MANY = 8
"""With more variants than this, their legend needs a whole page's width."""

# Okabe and Ito's palette, which the colour-blind can tell apart. The first four are those of it that stay furthest
# apart under every kind of colour-blindness.
_FIXED = {"adagrad": "#CC79A7", "adam": "#56B4E9", "sgd": "#0072B2", "swa": "#D55E00"}
OTHERS = ("#009E73", "#E69F00", "#999999", "#000000")
"""Colours of what is no known optimiser."""
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (5.0, 1.5),
    (1.0, 1.0),
    (5.0, 1.5, 1.0, 1.5),
    (8.0, 1.5, 3.0, 1.5),
    (3.0, 1.5, 1.0, 1.5, 1.0, 1.5),
)
_PUBLISHED = "swa_published"  # the same optimiser as its authors' code ran it

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": SMALL,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.titley": 1.0,  # unless it is given, every drawing measures all ticks to find a place for the title
    "axes.labelpad": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "lines.markeredgewidth": 0,
    "svg.fonttype": "none",  # half the size of outlines, and text that can be searched and read aloud
    "svg.hashsalt": "vec2uage",
}
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Style:
    """How a variant is drawn, in every figure."""

    colour: str
    marker: str
    dashes: tuple[float, ...]
    """The lengths of dashes and gaps in line widths; none for a solid line."""

    @property
    def line(self) -> dict[str, Any]:
        """The properties of a line."""
        return {"color": self.colour, "linestyle": (0, self.dashes)}

    @property
    def points(self) -> dict[str, Any]:
        """The properties of points that no line joins."""
        return {"color": self.colour, "linestyle": "none", "marker": self.marker}


def colours(variants: Sequence[str]) -> dict[str, Style]:
    """Give each variant (`sgd`, `swa method=paper`, `ridge`) the colour of its first word, and a line and a marker.

    The paper's optimisers have fixed colours. Where all variants begin alike, colours tell the variants apart.
    """
    first = [name.split(" ")[0] for name in variants]
    families = first if len(set(first)) > 1 else [*first[:1], *variants[1:]]
    known = _FIXED | {_PUBLISHED: _FIXED["swa"]}
    unknown = [family for family in dict.fromkeys(families) if family not in known]
    known |= {family: OTHERS[k % len(OTHERS)] for k, family in enumerate(unknown)}
    used: Counter[tuple[str, bool]] = Counter()
    styles = {}
    for name, family in zip(variants, families, strict=True):
        alike = known[family], family == _PUBLISHED
        number = (used[alike] + 3 * alike[1]) % len(_DASHES)
        used[alike] += 1
        styles[name] = Style(known[family], _MARKERS[number], _DASHES[number])
    return styles


@contextmanager
def styled() -> Iterator[None]:
    """Let matplotlib draw in the style of a report: as a context, or as a decorator.

    The settings of matplotlib are global, so that one thread waits for another.
    """
    from matplotlib import rc_context

    with _LOCK, rc_context(_SETTINGS):
        yield


def canvas(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    left: float = 0.48,
    right: float = 0.1,
    bottom: float = 0.34,
    top: float = 0.24,
    across: float = 0.5,
    down: float = 0.5,
    sharex: bool = False,
    sharey: bool = False,
) -> "tuple[Figure, list[Axes]]":
    """Make a figure with a grid of panels; its size, margins and gaps are in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    panel_width = (width - left - right + across) / columns - across
    panel_height = (height - bottom - top + down) / rows - down
    figure.subplots_adjust(
        left / width, bottom / height, 1 - right / width, 1 - top / height, across / panel_width, down / panel_height
    )
    for axes in panels.flat:
        # not as global settings, which are those of another time when ticks are made
        axes.tick_params(labelsize=SMALL, length=2.5, width=0.6, pad=2, grid_color="0.9", grid_linewidth=0.5)
    return figure, list(panels.flat)


def wrapped(name: str, characters: int) -> str:
    """Break a name into lines, for a figure."""
    return "\n".join(map(foreign_text.figure, textwrap.wrap(foreign_text.visible(name), characters)))


def width_for(names: Sequence[str]) -> float:
    """Return the width (inches) of a figure with one panel whose legend has these names."""
    return COLUMN if len(names) <= _MANY else PAGE


def legend_below(figure: "Figure", handles: "Sequence[Any]") -> None:
    """Name the handles in a strip below the panels, by which the figure grows."""
    width, height = figure.get_size_inches()
    labels = [wrapped(str(handle.get_label()), int((width - 0.5) / CHARACTER)) for handle in handles]
    longest = max(len(line) for label in labels for line in label.splitlines())
    columns = min(len(labels), max(1, int(width / (0.4 + longest * CHARACTER))))
    tallest = sorted((label.count("\n") + 1 for label in labels), reverse=True)[: ceil(len(labels) / columns)]
    strip = 0.05 + LINE * sum(tallest)
    at = figure.subplotpars
    grown = height + strip
    figure.set_size_inches(width, grown)
    figure.subplots_adjust(bottom=(at.bottom * height + strip) / grown, top=(at.top * height + strip) / grown)
    figure.legend(
        handles,
        labels,
        loc="lower center",
        ncols=columns,
        borderaxespad=0.2,
        borderpad=0.2,
        columnspacing=1.2,
        labelspacing=0.35,
    )


def lines(styles: Mapping[str, Style], names: Iterable[str]) -> "list[Artist]":
    """Return a line of each variant, named, for a legend."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=name, **styles[name].line) for name in names]

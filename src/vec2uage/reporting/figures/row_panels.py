"""Panels side by side with a row for each variant: its name to the left, a number to the right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vec2uage.reporting.figures.style import CHARACTER, LINE, SMALL, canvas, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME = 32  # characters in a line of a name


def row_panels(names: Sequence[str], width: float, columns: int, height: float) -> "tuple[Figure, list[Axes]]":
    """Make panels with a row of at least `height` inches for each name, the first on top."""
    labels = [wrapped(name, _NAME) for name in names]
    lines = [label.splitlines() for label in labels]
    longest = max(len(line) for label in lines for line in label)
    row = max(height, LINE * max(map(len, lines)) + 0.08)
    figure, panels = canvas(
        width,
        0.34 + 0.26 + row * (len(names) + 0.2),
        columns=columns,
        left=0.14 + longest * CHARACTER,
        right=0.5,
        top=0.26,
        across=0.66,
        sharey=True,
    )
    panels[0].set_yticks(range(len(names)), labels)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    for axes in panels:
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    return figure, panels


def number_rows(axes: "Axes", head: str, numbers: Sequence[str]) -> None:
    """Write a number at the right of each row, under a head."""
    axes.text(1.02, 1.02, head, transform=axes.transAxes, style="italic", fontsize=SMALL)
    for row, number in enumerate(numbers):
        axes.text(1.02, row, number, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)

"""The network as a diagram (paper Figure 6)."""

from collections.abc import Mapping
from itertools import pairwise
from math import log2
from typing import TYPE_CHECKING, Any

from vec2uage.reporting.figures.style import PAGE, TEXT, canvas, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled()
def network(model: Mapping[str, Any], parameters: int | None) -> "Figure | None":
    """Draw the layers of a network of so many parameters, from the part `model` of a run's config.

    None for another model than the MLP of the paper.
    """
    widths = _widths(model, parameters)
    if not widths:
        return None
    from matplotlib.patches import Rectangle

    figure, (axes,) = canvas(PAGE, 1.5, left=0.7, right=0.05, bottom=0.05, top=0.24)
    axes.set_axis_off()
    axes.set(xlim=(-0.5, len(widths) - 0.5), ylim=(-1.1, 1))
    layers = ["face\nvector", *(["linear,\nReLU"] * (len(widths) - 2)), "linear:\nage (years)"]
    added = ["", *(f"{i * o + o:,}" for i, o in pairwise(widths))]
    for place, (width, layer, count) in enumerate(zip(widths, layers, added, strict=True)):
        half = 0.16 + 0.44 * log2(width) / log2(max(*widths, 2))
        axes.add_patch(
            Rectangle((place - 0.2, 0.35 - half), 0.4, 2 * half, facecolor="0.93", edgecolor="0.3", linewidth=0.8)
        )
        axes.text(place, 0.35, f"{width:,}", ha="center", va="center", fontsize=TEXT, weight="bold")
        axes.text(place, -0.35, layer, ha="center", va="top")
        axes.text(place, -0.9, count, ha="center", va="top")
        if place:
            arrow = {"arrowstyle": "-|>", "color": "0.3", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
            axes.annotate("", (place - 0.22, 0.35), (place - 0.78, 0.35), arrowprops=arrow)
    for height, head in ((-0.35, "layer"), (-0.9, "parameters")):
        axes.text(-0.55, height, head, ha="right", va="top", style="italic")
    axes.set_title(f"{parameters:,} parameters", x=-0.1)
    return figure


def _widths(model: Mapping[str, Any], parameters: int | None) -> list[int]:
    """Return how many numbers come into and out of the layers; the config does not tell the first, but the sum does."""
    if model.get("_target_") != "vec2uage.training.models.MLP" or parameters is None:
        return []
    outputs = [*model["hidden"], 1]
    behind = sum(i * o + o for i, o in pairwise(outputs))
    return [(parameters - behind) // outputs[0] - 1, *outputs]

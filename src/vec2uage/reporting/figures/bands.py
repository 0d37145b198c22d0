"""The median of many runs as a line, and most of them as a band around it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from vec2uage.reporting.figures.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 6
"""More bands than this hide each other."""
BANDS = (
    f"Lines are medians over the runs of a variant; bands reach from the 10th to the 90th percentile and are left out "
    f"with more than {_MOST} variants"
)


def draw_bands(
    axes: "Axes",
    variants: Mapping[str, tuple[Int[np.ndarray, " _"], Float[np.ndarray, "_ _"]]],
    styles: Mapping[str, Style],
) -> list[Float[np.ndarray, "3 _"]]:
    """Draw the median and the band of each variant over its runs, given as positions and one row of values a run.

    NaN stands for what a run does not have; at each position one run must have a number. Returns each variant's 10th
    percentiles, medians and 90th percentiles.
    """
    found = []
    for name, (at, values) in variants.items():
        percentiles: Float[np.ndarray, "3 _"] = np.nanpercentile(values, (10, 50, 90), axis=0)
        low, median, high = percentiles
        if len(variants) <= _MOST:
            axes.fill_between(at, low, high, color=styles[name].colour, alpha=0.15, linewidth=0)
        axes.plot(at, median, **styles[name].line)
        found.append(percentiles)
    return found

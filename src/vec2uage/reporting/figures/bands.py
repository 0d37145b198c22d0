"""The median of many runs as a line, and most of them as a band around it."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from vec2uage.reporting.figures.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BANDS = "Lines are medians over the runs of a variant, bands reach from the 10th to the 90th percentile"


def draw_band(
    axes: "Axes", at: Int[np.ndarray, " E"], runs: Float[np.ndarray, "N E"], style: Style
) -> Float[np.ndarray, "3 E"]:
    """Draw the median of the runs and the band around it; return 10th percentile, median and 90th percentile.

    NaN is what a run does not have; at each place one run must have a number.
    """
    percentiles: Float[np.ndarray, "3 E"] = np.nanpercentile(runs, (10, 50, 90), axis=0)
    low, median, high = percentiles
    axes.fill_between(at, low, high, color=style.colour, alpha=0.15, linewidth=0)
    axes.plot(at, median, **style.line)
    return percentiles

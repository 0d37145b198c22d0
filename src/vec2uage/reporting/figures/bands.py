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
    at: Mapping[str, Int[np.ndarray, " _"]],
    runs: Mapping[str, Float[np.ndarray, "_ _"]],
    styles: Mapping[str, Style],
) -> list[Float[np.ndarray, "3 _"]]:
    """Draw each variant's median and band at the places `at`; return 10th percentiles, medians, 90th percentiles.

    NaN is what a run does not have; at each place one run must have a number.
    """
    found = []
    for name, values in runs.items():
        percentiles: Float[np.ndarray, "3 _"] = np.nanpercentile(values, (10, 50, 90), axis=0)
        low, median, high = percentiles
        if len(runs) <= _MOST:
            axes.fill_between(at[name], low, high, color=styles[name].colour, alpha=0.15, linewidth=0)
        axes.plot(at[name], median, **styles[name].line)
        found.append(percentiles)
    return found

"""How far an axis of errors must reach, and when it is logarithmic."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ceiling(groups: Sequence[Float[np.ndarray, " _"]]) -> float:
    """Return the highest value that an axis should show of several groups of errors or losses.

    Left out are values far above the rest of their group, and groups whose median is over three times that of most.
    """
    medians = np.array([np.median(group) for group in groups])
    centre = np.sort(medians)[(len(medians) - 1) // 2]
    spreads = np.array([np.subtract(*np.percentile(group, (75, 25))) for group in groups])
    # A group of which half went astray has so wide a spread that only the others' tells what is usual.
    least = 0.01 * abs(centre)
    usual = max(float(np.median(spreads[spreads > 0])) if spreads.any() else 0.0, least)
    fences = medians + 4 * spreads.clip(least, 10 * usual)
    near = [
        group[group <= fence]
        for group, fence, median in zip(groups, fences, medians, strict=True)
        if median <= centre + 2 * abs(centre)
    ]
    values = np.concatenate(list(groups))
    highest, lowest = max(group.max() for group in near), values.min()
    return float(values[values <= highest + 0.5 * (highest - lowest)].max())


def limits(lowest: float, highest: float, above: float = 0.06) -> tuple[float, float]:
    """Return the ends of an axis that shows values from lowest to highest, with a share of that left free above.

    Values that hardly differ do not fill it, as they would look far apart.
    """
    spare = max(0.0, 0.05 * highest - (highest - lowest)) / 2
    lowest, highest = lowest - spare, highest + spare
    reach = (highest - lowest) or 1.0
    return lowest - 0.06 * reach, highest + above * reach


def set_height(axes: "Axes", lowest: float, highest: float) -> None:
    """Let the vertical axis show the values from lowest to highest, logarithmic if these are far apart."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    if lowest <= 0 or highest < 3 * lowest:
        axes.set_ylim(*limits(lowest, highest))
        return
    axes.set_yscale("log")
    axes.set_ylim(lowest / 1.1, highest * 1.1)
    steps = (1, 2, 3, 4, 6, 8) if highest < 15 * lowest else (1, 2, 5) if highest < 200 * lowest else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())

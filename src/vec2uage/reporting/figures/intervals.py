"""Whether the distributions that runs predict are right: coverage, PIT, reliability of P(minor), width by age."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Real

from vec2uage.predictions.operating import FEWEST
from vec2uage.reporting.figures.style import PAGE, SMALL, canvas, styled
from vec2uage.reporting.uncertainty import LEVELS, Uncertainty
from vec2uage.statistics.bootstrap import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Coverage: how many ages lie in their central intervals, on the dashed line where these hold what they say; below "
    "it they are too narrow. PIT: even bins show calibration, a U too narrow distributions, a hill too wide ones, a "
    "slope a bias. Reliability: how many faces with a P(minor) are minors. Width: of the 90% intervals, by age. Points "
    f"of fewer than {FEWEST} faces are grey. Bands and bars are 95% intervals over persons, or faces where persons "
    "are not known."
)
_COLOUR, _GREY = "#0072B2", "0.6"
_BARS: dict[str, Any] = {"linewidth": 0.9, "capsize": 2}
_EXPECTED: dict[str, Any] = {"color": "0.5", "linewidth": 0.8, "linestyle": (0, (4, 2))}


@styled()
def uncertainty(found: Uncertainty) -> "Figure":
    """Draw the four panels of one kind of model; that of reliability says so where all faces are of one side of 18."""
    from matplotlib.ticker import MaxNLocator

    figure, (coverage, pit, reliability, width) = canvas(PAGE, 4.3, rows=2, columns=2, across=0.6, down=0.66)
    coverage.plot((0, 100), (0, 100), **_EXPECTED)
    _band(coverage, 100 * LEVELS, found.coverage, 100)
    coverage.set(xlabel="central interval (%)", ylabel="ages inside (%)", xlim=(0, 100), ylim=(0, 100))
    coverage.set_title("Coverage")

    bins = len(found.pit)
    shares, reach = _errors(found.pit)
    edges = np.arange(bins) / bins
    pit.bar(edges, 100 * shares, 1 / bins, align="edge", color=_COLOUR, alpha=0.35, edgecolor="white", linewidth=0.5)
    pit.errorbar(edges + 0.5 / bins, 100 * shares, 100 * reach, color="black", linestyle="none", **_BARS)
    pit.axhline(100 / bins, **_EXPECTED)
    pit.set(xlabel="PIT", ylabel="faces (%)", xlim=(0, 1))
    pit.set_title("Probability integral transform")

    reliability.plot((0, 100), (0, 100), **_EXPECTED)
    if found.reliability:
        for bin_ in found.reliability:
            shares, reach = _errors([bin_.observed])
            colour = _GREY if bin_.faces < FEWEST else _COLOUR
            reliability.errorbar(100 * bin_.predicted, 100 * shares, 100 * reach, color=colour, marker="o", **_BARS)
    else:
        text = "all faces are of one side of 18"
        reliability.text(0.5, 0.5, text, transform=reliability.transAxes, ha="center", fontsize=SMALL)
    reliability.set(xlabel="P(minor) (%)", ylabel="minors (%)", xlim=(-2, 102), ylim=(-2, 102))
    reliability.set_title("Reliability of P(minor)")

    _band(width, np.array([of.age for of in found.by_age]), [of.width for of in found.by_age], 1)
    few = [of for of in found.by_age if of.faces < FEWEST]
    width.plot(
        [of.age for of in few], [of.width.estimate for of in few], color=_GREY, linestyle="none", marker="o", zorder=3
    )
    width.set(xlabel="age (years)", ylabel="width (years)")
    width.set_ylim(bottom=0)
    width.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    width.set_title("Width of 90% intervals")
    return figure


def _band(axes: "Axes", at: Real[np.ndarray, " _"], values: Sequence[Interval], unit: int | float) -> None:
    estimates, (below, above) = _errors(values)
    axes.fill_between(at, unit * (estimates - below), unit * (estimates + above), color=_COLOUR, alpha=0.2, linewidth=0)
    axes.plot(at, unit * estimates, color=_COLOUR, marker="o", markersize=2)


def _errors(values: Sequence[Interval]) -> tuple[Float[np.ndarray, " _"], Float[np.ndarray, "2 _"]]:
    """Return estimates, and how far the bounds lie below and above: nowhere where there are none."""
    estimates = np.array([value.estimate for value in values])
    bounds = np.array([(value.low, value.high) for value in values]).T
    return estimates, np.nan_to_num(np.abs(bounds - estimates))

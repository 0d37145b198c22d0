"""Pictures of what a set of faces consists of: counts by age, source and gender (paper Figures 3 to 5)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from vec2uage.base import foreign_text
from vec2uage.data.vectorset import VectorSet, needed_ages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
GENDER_COLOURS = {"female": COLOURS[1], "male": COLOURS[0], "": "#999999"}


def counts_per_age(vs: VectorSet) -> dict[int, int]:
    """Return the number of faces of each whole age that the set has, youngest first."""
    ages, counts = np.unique(np.floor(needed_ages(vs, "a count of faces per age")).astype(int), return_counts=True)
    return dict(zip(ages.tolist(), counts.tolist(), strict=True))


def plot_counts(vs: VectorSet) -> "Figure":
    """Draw the faces per whole age, each source a part of its age's bar (paper Figure 3)."""
    parts = {name: vs.take(vs.source == name) for name in sorted(set(vs.source))}
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(parts)}
    return _bars(parts, colours, f"{len(vs):,} faces per age", stacked=True)


def plot_genders(vs: VectorSet) -> "Figure":
    """Draw the faces per whole age and gender side by side (paper Figure 4)."""
    parts = {gender: vs.take(vs.gender == gender) for gender in GENDER_COLOURS if (vs.gender == gender).any()}
    return _bars(parts, GENDER_COLOURS, f"{len(vs):,} faces per age and gender", stacked=False)


def plot_source(vs: VectorSet, source: str) -> "Figure":
    """Draw the faces per whole age of one source (paper Figure 5)."""
    own = vs.take(vs.source == source)
    return _bars({source: own}, {source: COLOURS[0]}, f"{source}: {len(own):,} faces per age", stacked=True)


def _bars(parts: Mapping[str, VectorSet], colours: Mapping[str, str], title: str, stacked: bool) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    counts = {name: counts_per_age(part) for name, part in parts.items()}
    bars: list[Any] = []
    labels = []
    ages = np.arange(min(map(min, counts.values())), max(map(max, counts.values())) + 1)
    figure = Figure(figsize=(7, 3.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    base: Int[np.ndarray, " A"] = np.zeros(len(ages), dtype=int)
    width = 0.8 if stacked else 0.8 / len(counts)
    for k, (name, of_age) in enumerate(counts.items()):
        heights = np.array([of_age.get(age, 0) for age in ages.tolist()])
        shift = 0.0 if stacked else (k - (len(counts) - 1) / 2) * width
        bars.append(axes.bar(ages + shift, heights, width, bottom=base if stacked else None, color=colours[name]))
        labels.append(foreign_text.figure(f"{name or 'unknown'} ({heights.sum():,})"))
        base = base + heights
    axes.set_xlabel("age (whole years)")
    axes.set_ylabel("faces")
    axes.set_title(foreign_text.figure(title), loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=min(len(ages), 20)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.spines[["top", "right"]].set_visible(False)
    if len(counts) > 1:
        figure.legend(bars, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure

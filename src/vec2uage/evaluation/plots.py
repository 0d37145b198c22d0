"""The picture of an evaluation: what was predicted at each age, and how far off that is."""

from typing import Any

import numpy as np
from jaxtyping import Real

from vec2uage.evaluation.scores import Scores
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.operating import FEWEST

# Of Okabe and Ito's palette, whose colours stay distinct for the colour-blind.
_BLUE, _SKY, _VERMILION, _GREY = "#0072B2", "#56B4E9", "#D55E00", "0.75"


def plot(ages: Real[np.ndarray, " N"], prediction: Prediction, scores: Scores) -> Any:
    """Return a figure: predicted (median) against true age above, MAE and bias of each whole age below; years."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    predicted, overall = prediction.median, scores.overall
    floors = np.floor(ages).astype(int)
    whole = bool((floors == ages).all())
    # Whole ages: faces are spread around their age, so that they do not hide each other. Else an age is a year wide.
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(ages)) if whole else 0
    middle = 0.0 if whole else 0.5

    figure = Figure(figsize=(7, 7.5), dpi=120, layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1.4))
    above.plot(
        ages + jitter,
        predicted,
        ".",
        color=_BLUE,
        alpha=float(np.clip(500 / len(ages), 0.05, 0.6)),
        markersize=5,
        markeredgewidth=0,
        label="a face",
    )
    first, last = scores.per_age[0].age, scores.per_age[-1].age
    ends = (first - 0.5, last + 0.5) if whole else (first, last + 1)
    above.plot(ends, ends, color="0.35", linestyle="--", linewidth=1.2, label="prediction = true age")
    at = [a.age + middle for a in scores.per_age]
    quartiles = np.array([np.percentile(predicted[floors == a.age], (25, 50, 75)) for a in scores.per_age])
    low, median, high = quartiles.T
    above.errorbar(
        at,
        median,
        yerr=(median - low, high - median),
        fmt="o",
        color="black",
        markersize=4.5,
        elinewidth=1.6,
        label="median, middle half",
    )
    above.set_ylabel("predicted age (years)")
    above.yaxis.set_major_locator(MaxNLocator(integer=True))
    above.set_title(
        f"{scores.n:,} faces: MAE {overall['mae']:.2f}, RMSE {overall['rmse']:.2f}, bias {overall['bias']:+.2f} years",
        fontsize=11,
    )
    above.grid(alpha=0.25)
    legend = above.legend(loc="upper left", fontsize=9, framealpha=0.9, edgecolor="none")
    for handle in legend.legend_handles:
        handle.set_alpha(1)

    colours = [_GREY if a.n < FEWEST else _SKY for a in scores.per_age]
    below.bar(at, [a.mae for a in scores.per_age], width=0.75, color=colours)
    below.plot(at, [a.bias for a in scores.per_age], "D", color=_VERMILION, markersize=5, label="bias")
    below.axhline(0, color="black", linewidth=0.8)
    below.axhline(overall["mae"], color="black", linestyle=":", linewidth=1.4, label="MAE of all faces")
    below.set(xlabel="true age (years)", ylabel="error (years)", xlim=ends)
    below.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True))
    below.grid(axis="y", alpha=0.25)
    meanings = {_SKY: "MAE", _GREY: f"MAE of under {FEWEST} faces"}
    bars = [Patch(color=colour, label=meaning) for colour, meaning in meanings.items() if colour in colours]
    handles = [*below.get_legend_handles_labels()[0], *bars]
    below.legend(handles=handles, frameon=False, ncols=4, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.18))
    return figure

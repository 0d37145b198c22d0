"""The paper's own numbers, and where its text and its tables do not agree."""

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml

Experiment = Literal["d1", "e1"]
"""The paper's two experiments: fixed learning rates (D1), or the first one from a range test (E1)."""
PARTS = ("train", "validation", "test")

# A figure that is printed with two decimals may be half a hundredth off.
_ROUNDING = 0.005001


@dataclass(frozen=True)
class Spread:
    """Minimum, mean and standard deviation of an MAE (years) over the seeds of an optimiser."""

    min: float
    mean: float
    std: float

    @staticmethod
    def of(values: list[float]) -> "Spread":
        """Summarise values; the deviation is that of a sample, NaN for a single one."""
        std = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return Spread(float(np.min(values)), float(np.mean(values)), std)


@dataclass(frozen=True)
class PaperRun:
    """A line of the paper's Table 4 or 5; MAE in years."""

    name: str
    seed: int
    lr: float
    val_mae: float
    test_mae: float


@dataclass(frozen=True)
class Paper:
    """What the paper printed."""

    spreads: dict[str, dict[str, dict[str, Spread]]]
    """Tables 2 and 3, by experiment, optimiser and part."""
    runs: dict[str, tuple[PaperRun, ...]]
    """Tables 4 and 5, by experiment."""
    listed: dict[str, str]
    """The one optimiser whose runs Table 4 or 5 lists, by experiment."""
    minutes: dict[str, dict[str, float]]
    """Mean runtimes of a run as far as they are told, by experiment and optimiser."""
    claims: dict[str, Any]


@cache
def paper() -> Paper:
    """Return the paper's numbers."""
    text = resources.files("vec2uage.reporting").joinpath("reference/paper.yaml").read_text(encoding="utf-8")
    read = yaml.safe_load(text)
    spreads = {
        experiment: {
            optimizer: {part: Spread(**numbers) for part, numbers in parts.items()}
            for optimizer, parts in optimizers.items()
        }
        for experiment, optimizers in read["spreads"].items()
    }
    runs = {}
    for experiment, listed in read["runs"].items():
        prefix, _, first = listed["first_id"].partition("-")
        runs[experiment] = tuple(
            PaperRun(name=f"{prefix}-{int(first) + k}", seed=seed, lr=lr, val_mae=val, test_mae=test)
            for k, (seed, lr, val, test) in enumerate(listed["rows"])
        )
    listed = {experiment: table["optimizer"] for experiment, table in read["runs"].items()}
    return Paper(spreads, runs, listed, read["minutes"], read["claims"])


def count_of_minima(spreads: dict[str, dict[str, Spread]]) -> dict[str, int]:
    """Count for each optimiser in how many of the nine cells (min, mean, std of each part) it is lowest.

    The rule by which the paper names its best optimiser (section 4); ties count for all that share the lowest.
    """
    counts = dict.fromkeys(spreads, 0)
    for part in PARTS:
        for figure in ("min", "mean", "std"):
            cells = {name: getattr(parts[part], figure) for name, parts in spreads.items()}
            for name, value in cells.items():
                counts[name] += value == min(v for v in (*cells.values(), math.inf) if not math.isnan(v))
    return counts


def contradictions() -> list[str]:
    """Say where the paper's text and tables contradict each other, as far as their numbers show it."""
    printed = paper()
    claims = printed.claims
    found = []
    lowest = {
        (experiment, name): parts["test"].min
        for experiment, table in printed.spreads.items()
        for name, parts in table.items()
    }
    (experiment, name), value = min(lowest.items(), key=lambda item: item[1])
    if name != claims["winner"]["optimizer"]:
        claimed = claims["winner"]["optimizer"]
        others = min(value for (_, optimizer), value in lowest.items() if optimizer == claimed)
        found.append(
            f"The abstract gives {claims['winner']['test_mae']:.2f} years to {claimed.upper()}; in the tables the "
            f"lowest test MAE, {value:.2f}, is {name.upper()}'s ({experiment.upper()}), and {claimed.upper()}'s lowest "
            f"is {others:.2f}."
        )
    for experiment, runs in printed.runs.items():
        chosen, luckiest = min(runs, key=lambda run: run.val_mae), min(runs, key=lambda run: run.test_mae)
        found.append(
            f"{experiment.upper()}'s best {printed.listed[experiment].upper()} run is named by its test MAE "
            f"({luckiest.test_mae:.2f}); validation, which the method prescribes, chooses {chosen.name} with "
            f"{chosen.test_mae:.2f}."
        )
        found += _against_summary(experiment)
        counts = count_of_minima(printed.spreads[experiment])
        winner, listed = max(counts, key=lambda name: counts[name]), printed.listed[experiment]
        if winner != listed:
            found.append(
                f"By the paper's own count of minima {winner.upper()} wins {experiment.upper()} ({counts[winner]} of 9 "
                f"cells, {listed.upper()} {counts[listed]}), yet the runs of {listed.upper()} are listed as the best."
            )
    means = [parts["test"].mean for table in printed.spreads.values() for parts in table.values()]
    if abs(np.mean(means) - claims["average_test_mae"]) > 0.05:
        found.append(
            f"The text gives {claims['average_test_mae']} years on average; the mean over both experiments and all "
            f"optimisers in Tables 2 and 3 is {np.mean(means):.2f}."
        )
    count = sum(map(len, printed.spreads.values())) * len(printed.runs["d1"])
    if count != claims["runs"]:
        found.append(
            f"The text counts {claims['runs']} runs; two experiments of four optimisers and "
            f"{len(printed.runs['d1'])} seeds are {count}."
        )
    fastest = claims["fastest"]
    for experiment, minutes in printed.minutes.items():
        ties = [name for name, value in minutes.items() if name != fastest and value <= minutes[fastest]]
        found += [
            f"{fastest.upper()} is called the fastest; in {experiment.upper()} {other.upper()} takes the same "
            f"{minutes[other]:g} minutes."
            for other in ties
        ]
    return found


def _against_summary(experiment: str) -> list[str]:
    """Compare the runs of Table 4 or 5 with what Table 2 or 3 says of them."""
    printed = paper()
    optimizer, runs = printed.listed[experiment], printed.runs[experiment]
    summary = printed.spreads[experiment][optimizer]
    found = []
    for part, values in (("validation", [r.val_mae for r in runs]), ("test", [r.test_mae for r in runs])):
        own = Spread.of(values)
        for figure in ("min", "mean", "std"):
            listed, summarised = getattr(own, figure), getattr(summary[part], figure)
            if abs(listed - summarised) > 2 * _ROUNDING:
                tables = ("4", "2") if experiment == "d1" else ("5", "3")
                found.append(
                    f"The runs of Table {tables[0]} have a {part} {figure} of {listed:.3f} years; Table {tables[1]} "
                    f"says {summarised:.2f}."
                )
    return found

"""What the distributions that runs predict are worth: of all variants, by age, and at the thresholds of Challenge-T."""

import numpy as np

from vec2uage.predictions.metrics import METRICS
from vec2uage.predictions.operating import FEWEST
from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.content import Column, Table
from vec2uage.reporting.uncertainty import Uncertainty

_METRICS = ("mae", "crps", "log_score", "coverage_50", "coverage_80", "coverage_90", "coverage_95", "width_90")
_OF_MINORS = ("interval_score_90", "minor_brier", "minor_ece", "minor_auc")
_CLUSTERS = (
    "95% intervals resample persons, or faces where persons are not known, with all their rows of all runs. Rows of "
    f"fewer than {FEWEST} faces are grey."
)


def overview(sweep: Sweep) -> Table:
    """Lay out the means over runs of what is measured of distributions, of each variant that predicts some."""
    variants = {name: [run for run in runs if run.distributions] for name, runs in sweep.variants.items()}
    variants = {name: runs for name, runs in variants.items() if runs}
    measured = [
        name
        for name in (*_METRICS, *_OF_MINORS)
        if any(f"test/{name}" in run.scores for runs in variants.values() for run in runs)
    ]
    rows = []
    for name, runs in variants.items():
        known = {m: [run.scores[f"test/{m}"] for run in runs if f"test/{m}" in run.scores] for m in measured}
        rows.append((name, len(runs), *(float(np.mean(values)) if values else None for values in known.values())))
    return Table(
        "uncertainty",
        "What the predicted distributions are worth on the test set",
        (Column(sweep.compares), Column("runs"), *(Column(METRICS[name].label, 3) for name in measured)),
        tuple(rows),
        "Means over runs; years, but for shares (0 to 1) and the log score (nats; lower is better). Coverage is the "
        "share of ages in their central intervals, best at the share that these are to hold; minor: of the probability "
        "of being below 18.",
    )


def by_age(found: Uncertainty) -> Table:
    """Lay out errors, coverage and width of intervals of each whole age."""
    return Table(
        "uncertainty_by_age",
        f"{found.name}: 90% intervals by age",
        (
            Column("age"),
            Column("faces"),
            Column("MAE", 2),
            Column("CRPS", 2),
            Column("width", 2),
            Column("coverage, %", 1),
        ),
        tuple((of.age, of.faces, of.mae, of.crps, of.width, of.coverage.times(100)) for of in found.by_age),
        f"Years; coverage: how many ages lie in their 90% interval. {_CLUSTERS}",
        faint=frozenset(row for row, of in enumerate(found.by_age) if of.faces < FEWEST),
    )


def reliability(found: Uncertainty) -> Table:
    """Lay out how many of the faces with a probability of being minors are minors."""
    bins = found.reliability
    return Table(
        "reliability",
        f"{found.name}: how many faces with a P(minor) are minors, in %",
        (Column("P(minor), mean of the bin", 1), Column("faces"), Column("minors", 1)),
        tuple((100 * of.predicted, of.faces, of.observed.times(100)) for of in bins),
        f"Bins of a tenth. A face of several runs may count in several bins. {_CLUSTERS}",
        faint=frozenset(row for row, of in enumerate(bins) if of.faces < FEWEST),
    )


def operating(found: Uncertainty) -> Table:
    """Lay out how often each age is taken for the other side of each threshold, in NIST FATE AEV's terms."""
    side = {True: "T or older", False: "younger than T"}
    return Table(
        "operating",
        f"{found.name}: how often ages are taken for the other side of a threshold T, in %",
        (
            Column("age"),
            Column("faces"),
            Column("taken for"),
            *(Column(f"T = {threshold}", 1) for threshold in found.operating.thresholds),
        ),
        tuple(
            (
                of.ages,
                of.faces,
                side[of.is_minor],
                *(rate.times(100) for rate in of.rates),
            )
            for of in found.operating.rows
        ),
        "By the median. Of minors it counts how many pass a challenge at T years (Challenge-T), of adults how many do "
        f"not; T above the oldest age tested is left out. {_CLUSTERS}",
        faint=frozenset(row for row, of in enumerate(found.operating.rows) if of.faces < FEWEST),
    )

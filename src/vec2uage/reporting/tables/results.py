"""What the runs of a sweep have reached: per optimiser, per run, per age, and at what cost."""

from collections.abc import Iterable, Sequence

import numpy as np

from vec2uage.reporting.collect import Run, Sweep
from vec2uage.reporting.content import Cell, Column, Table
from vec2uage.reporting.paper import SIDES, Experiment, PaperRun, Spread, count_of_minima, paper
from vec2uage.runs.index import swept, value

TOP = 3
_KEYS = {"train": "train_mae", "validation": "val_mae", "test": "test_mae"}


def summary(sweep: Sweep, experiment: Experiment | None) -> Table:
    """Lay out minimum, mean and deviation of train, validation and test MAE as the paper's Tables 2 and 3 do."""
    printed = paper().spreads[experiment] if experiment else {}
    spreads = {
        name: {side: Spread.of([getattr(run, _KEYS[side]) for run in runs]) for side in SIDES}
        for name, runs in sweep.variants.items()
    }
    minima = count_of_minima(spreads)
    rows: list[tuple[Cell, ...]] = []
    marked = set()
    for name, sides in spreads.items():
        if minima[name] == max(minima.values()):
            marked.add(len(rows))
        rows.append((name, len(sweep.variants[name]), *_nine(sides), minima[name]))
        if name in printed:
            rows.append((f"{name} (paper)", 20, *_nine(printed[name]), count_of_minima(printed)[name]))
    heads = [Column(f"{side} {figure}", 3) for side in SIDES for figure in ("min", "mean", "std")]
    like = {"d1": "Table 2", "e1": "Table 3"}.get(experiment or "", "Tables 2 and 3")
    return Table(
        "summary",
        f"MAE per optimiser, in the layout of the paper's {like}",
        (Column("optimizer"), Column("runs"), *heads, Column("minima")),
        tuple(rows),
        "MAE in years at each run's best epoch; std is that of a sample. minima: in how many of the nine cells the "
        "optimiser is lowest among ours (or among the paper's), the rule by which the paper names its best one; most "
        "minima are marked. It mixes train, validation and test: the choice below does not use it."
        + (" The paper's train figures are of single batches." if printed else ""),
        frozenset(marked),
    )


def runs(sweep: Sweep, experiment: Experiment | None) -> Table:
    """List every completed run as the paper's Tables 4 and 5 do; the best three by validation are marked."""
    options = [option for option in swept([run.result for run in sweep.runs]) if option not in ("seed", "optimizer")]
    theirs = {}
    if experiment:
        theirs = {(paper().listed[experiment], run.seed): run for run in paper().runs[experiment]}
    listed = [theirs.get((run.result.optimizer, run.result.seed)) for run in sweep.runs]
    shows_paper = any(listed)
    top = sorted(range(len(sweep.runs)), key=lambda number: sweep.runs[number].val_mae)[:TOP]
    columns = [
        Column("run"),
        Column("optimizer"),
        *map(Column, options),
        Column("seed"),
        Column("lr"),
        Column("epochs"),
    ]
    columns += [
        Column("best epoch"),
        Column("train MAE", 3),
        Column("val MAE", 3),
        Column("test MAE", 3),
        Column("seconds", 1),
    ]
    if shows_paper:
        columns += [Column("paper's run"), Column("paper lr"), Column("paper val", 2), Column("paper test", 2)]
    like = {"d1": " (paper's Table 4)", "e1": " (paper's Table 5)"}.get(experiment or "", "")
    return Table(
        "runs",
        f"Every run{like}",
        tuple(columns),
        tuple(
            (*_run(run, options), *(_paper_run(other) if shows_paper else ()))
            for run, other in zip(sweep.runs, listed, strict=True)
        ),
        "MAE in years at the best epoch; seconds of wall time, as its share of the runs trained at once. The three "
        "lowest validation MAEs are marked.",
        frozenset(top),
    )


def per_age(sweep: Sweep) -> Table:
    """Lay out the test MAE of each whole age: the mean over the runs of each variant, and the three best runs."""
    top = sorted(sweep.runs, key=lambda run: run.val_mae)[:TOP]
    ages = sorted({age for run in sweep.runs for age in run.per_age})
    rows = [
        (
            age,
            *(_mean(run.per_age.get(age) for run in members) for members in sweep.variants.values()),
            *(run.per_age.get(age) for run in top),
        )
        for age in ages
    ]
    heads = [*sweep.variants, *(f"run {run.label}" for run in top)]
    claim = paper().claims["per_age"]
    return Table(
        "per_age",
        "Test MAE per age (paper's Figure 9)",
        (Column("age"), *(Column(head, 2) for head in heads)),
        tuple(rows),
        "Years; the mean over the runs of an optimiser, then the three runs with the lowest validation MAE. In the "
        f"paper the ages of its best runs lie between {claim['lowest']} and {claim['highest']} years.",
    )


def runtimes(sweep: Sweep, experiment: Experiment | None) -> Table:
    """Lay out what the runs of each variant cost (paper's Figure 10)."""
    minutes = paper().minutes.get(experiment or "", {})
    rows = []
    for name, members in sweep.variants.items():
        seconds = np.array([run.result.seconds or 0.0 for run in members])
        epochs = np.array([run.result.epochs for run in members])
        best = np.array([(run.result.best_epoch or 0) + 1 for run in members])
        per_epoch = seconds.sum() / max(epochs.sum(), 1)
        rows.append(
            (
                name,
                len(members),
                seconds.mean(),
                seconds.sum() / 3600,
                epochs.mean(),
                best.mean(),
                per_epoch,
                minutes.get(name),
            )
        )
    return Table(
        "runtimes",
        "What a run costs (paper's Figure 10)",
        (
            Column("optimizer"),
            Column("runs"),
            Column("seconds a run", 1),
            Column("hours in all", 2),
            Column("epochs", 1),
            Column("epochs to the best", 1),
            Column("seconds an epoch", 2),
            Column("paper, minutes a run"),
        ),
        tuple(rows),
        "Wall time, as a run's share of those trained at once, means over runs. epochs to the best: until the lowest "
        "validation loss, which is what converging fast means; seconds depend on the machine and on how runs were "
        "stacked.",
    )


def _nine(sides: dict[str, Spread]) -> tuple[float, ...]:
    return tuple(getattr(sides[side], figure) for side in SIDES for figure in ("min", "mean", "std"))


def _run(run: Run, options: Sequence[str]) -> tuple[Cell, ...]:
    result = run.result
    own = [value(result, option) for option in options]
    figures = (run.train_mae, run.val_mae, run.test_mae, result.seconds)
    return (run.name, result.optimizer, *own, result.seed, result.lr, result.epochs, result.best_epoch, *figures)


def _paper_run(run: PaperRun | None) -> tuple[Cell, ...]:
    return (None,) * 4 if run is None else (run.name, run.lr, run.val_mae, run.test_mae)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

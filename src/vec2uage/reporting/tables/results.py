"""What the runs of a sweep have reached: per optimiser, per run, per age, and at what cost."""

from collections.abc import Iterable, Sequence

import numpy as np

from vec2uage.reporting.collect import Sweep
from vec2uage.reporting.content import Cell, Column, Table
from vec2uage.reporting.paper import PARTS, Experiment, PaperRun, Spread, count_of_minima, paper
from vec2uage.runs.variants import swept

TOP = 3


def summary(sweep: Sweep, experiment: Experiment | None) -> Table:
    """Lay out minimum, mean and deviation of train, validation and test MAE as the paper's Tables 2 and 3 do."""
    printed = paper().spreads[experiment] if experiment else {}
    spreads = {
        name: {part: Spread.of([run.result.scores[f"{part}/mae"] for run in runs]) for part in PARTS}
        for name, runs in sweep.variants.items()
    }
    minima = count_of_minima(spreads)
    rows: list[tuple[Cell, ...]] = []
    marked = set()
    for name, parts in spreads.items():
        if minima[name] == max(minima.values()):
            marked.add(len(rows))
        rows.append((name, len(sweep.variants[name]), *_nine(parts), minima[name]))
        if name in printed:
            rows.append((f"{name} (paper)", 20, *_nine(printed[name]), count_of_minima(printed)[name]))
    heads = [Column(f"{part} {figure}", 3) for part in PARTS for figure in ("min", "mean", "std")]
    like = {"d1": "Table 2", "e1": "Table 3"}.get(experiment or "", "Tables 2 and 3")
    return Table(
        "summary",
        f"MAE per {sweep.variant_noun}, in the layout of the paper's {like}",
        (Column(sweep.compares), Column("runs"), *heads, Column("minima")),
        tuple(rows),
        "MAE in years at each run's best epoch; std is that of a sample. minima: in how many of the nine cells the "
        f"{sweep.variant_noun} is lowest among ours (or among the paper's), the rule by which the paper names its "
        "best one; most minima are marked. It mixes train, validation and test: the choice below does not use it."
        + (" The paper's train figures are of single batches." if printed else ""),
        frozenset(marked),
    )


def variants(sweep: Sweep) -> Table:
    """Say what the variants with shortened names are."""
    return Table(
        "variants",
        "What the short names of variants stand for",
        (Column("name"), Column("variant")),
        tuple(sweep.whole_names.items()),
        "Names in tables and figures leave out what all variants share, or are numbers where even that would be long.",
    )


def runs(sweep: Sweep, experiment: Experiment | None) -> Table:
    """List every completed run as the paper's Tables 4 and 5 do; the best three by validation are marked.

    Columns that no run has a value for, such as the learning rate of models that are not trained in epochs, are left
    out.
    """
    of_runs = [run.result for run in sweep.runs]
    options = [option for option in swept([run.options for run in sweep.runs]) if option not in ("seed", "optimizer")]
    theirs: dict[tuple[str | None, int], PaperRun] = {}
    if experiment:
        theirs = {(paper().listed[experiment], run.seed): run for run in paper().runs[experiment]}
    listed = [theirs.get((result.optimizer, result.seed)) for result in of_runs]
    columns: list[tuple[Column, Sequence[Cell]]] = [
        (Column("run"), [run.name for run in sweep.runs]),
        (Column("optimizer"), [result.optimizer for result in of_runs]),
        *((Column(option), [run.options.get(option) for run in sweep.runs]) for option in options),
        (Column("seed"), [result.seed for result in of_runs]),
        (Column("lr"), [result.lr for result in of_runs]),
        (Column("epochs"), [result.epochs or None for result in of_runs]),
        (Column("best epoch"), [result.best_epoch for result in of_runs]),
        (Column("train MAE", 3), [run.train_mae for run in sweep.runs]),
        (Column("val MAE", 3), [run.val_mae for run in sweep.runs]),
        (Column("test MAE", 3), [run.test_mae for run in sweep.runs]),
        (Column("seconds", 1), [result.seconds for result in of_runs]),
        (Column("paper's run"), [run.name if run else None for run in listed]),
        (Column("paper lr"), [run.lr if run else None for run in listed]),
        (Column("paper val", 2), [run.val_mae if run else None for run in listed]),
        (Column("paper test", 2), [run.test_mae if run else None for run in listed]),
    ]
    columns = [(column, cells) for column, cells in columns if any(cell is not None for cell in cells)]
    like = {"d1": " (paper's Table 4)", "e1": " (paper's Table 5)"}.get(experiment or "", "")
    return Table(
        "runs",
        f"Every run{like}",
        tuple(column for column, _ in columns),
        tuple(zip(*(cells for _, cells in columns), strict=True)),
        "MAE in years at the best epoch; seconds of wall time, as its share of the runs trained at once. The three "
        "lowest validation MAEs are marked.",
        frozenset(sorted(range(len(sweep.runs)), key=lambda row: sweep.runs[row].val_mae)[:TOP]),
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
        f"Years; the mean over the runs of each {sweep.variant_noun}, then the three runs with the lowest validation "
        "MAE. In the paper the ages of its best runs lie between "
        f"{claim['lowest']} and {claim['highest']} years.",
    )


def runtimes(sweep: Sweep, experiment: Experiment | None) -> Table:
    """Lay out what the runs of each variant cost (paper's Figure 10)."""
    minutes = paper().minutes.get(experiment or "", {})
    has_epochs = any(run.result.epochs for run in sweep.runs)
    rows: list[tuple[Cell, ...]] = []
    for name, members in sweep.variants.items():
        seconds = np.array([run.result.seconds for run in members if run.result.seconds is not None] or [np.nan])
        epochs = np.array([run.result.epochs for run in members])
        best = np.array([run.result.best_epoch + 1 for run in members if run.result.best_epoch is not None])
        of_epochs: tuple[Cell, ...] = (None, None, None)
        if epochs.any():
            of_epochs = (float(epochs.mean()), float(best.mean()), float(seconds.sum() / epochs.sum()))
        cost = (float(seconds.mean()), float(seconds.sum() / 3600))
        rows.append((name, len(members), *cost, *(of_epochs if has_epochs else ()), minutes.get(name)))
    of_epochs_heads = Column("epochs", 1), Column("epochs to the best", 1), Column("seconds an epoch", 2)
    return Table(
        "runtimes",
        "What a run costs (paper's Figure 10)",
        (
            Column(sweep.compares),
            Column("runs"),
            Column("seconds a run", 1),
            Column("hours in all", 2),
            *(of_epochs_heads if has_epochs else ()),
            Column("paper, minutes a run"),
        ),
        tuple(rows),
        "Wall time, as a run's share of those trained at once, means over runs. epochs to the best: until the lowest "
        "validation loss, which is what converging fast means; seconds depend on the machine and on how runs were "
        "stacked.",
    )


def _nine(parts: dict[str, Spread]) -> tuple[float, ...]:
    return tuple(getattr(parts[part], figure) for part in PARTS for figure in ("min", "mean", "std"))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

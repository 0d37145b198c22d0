"""The end of a sweep: one table in the layout of the paper's Table 2, read from the run folders alone."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from vec2uage.runs.index import factors, variant
from vec2uage.runs.result import RunResult

_SIDES = (("train", "train_mae"), ("validation", "val_mae"), ("test", "test_mae"))


def table(results: Sequence[RunResult]) -> str:
    """Minimum, mean and standard deviation of train, validation and test MAE (years) over the seeds.

    A line per optimiser, as in the paper; where other options than seeds were swept, a line per combination.
    """
    options = factors(results)
    rows = defaultdict(list)
    for result in results:
        if result.test_mae is not None:
            rows[variant(result, options)].append(result)
    width = max([len("optimizer"), *(len(name) for name in rows)])
    lines = [
        f"{'MAE in years':{width}}       " + "".join(f"{side:^22}" for side, _ in _SIDES),
        f"{'optimizer':{width}}  runs " + f"{'min':>8}{'mean':>7}{'std':>7}" * 3,
    ]
    for name, members in rows.items():
        cells = "".join(_cell([getattr(m, key) for m in members]) for _, key in _SIDES)
        lines.append(f"{name:{width}}  {len(members):4d} {cells}")
    return "\n".join(lines)


def report(results: Sequence[RunResult], folder: str) -> str:
    """Return what is printed at the end of a sweep: table, best run by validation, what failed, where to look."""
    parts = [table(results)] if any(r.test_mae is not None for r in results) else []
    scored = [r for r in results if r.status == "completed" and r.val_mae is not None and r.test_mae is not None]
    if scored:
        best = min(scored, key=lambda r: (r.val_mae, r.name))
        parts.append(f"best by validation: {best.name} (mae {best.val_mae:.3f} val, {best.test_mae:.3f} test)")
    failed = [r for r in results if r.status != "completed"]
    if failed:
        parts.append(f"{len(failed)} of {len(results)} runs did not complete:")
        parts.extend(f"  {r.name}: {r.status}" + (f", {r.reason}" if r.reason else "") for r in failed)
    parts.append(f"runs:        {folder}\ntable:       {folder}/sweep.csv\ntensorboard --logdir {folder}")
    return "\n".join(parts)


def _cell(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{min(values):8.3f}{statistics.fmean(values):7.3f}{spread:7.3f}"

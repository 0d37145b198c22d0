"""The end of a sweep: one table in the layout of the paper's Table 2, read from the run folders alone."""

import shlex
import statistics
from collections import defaultdict
from collections.abc import Sequence

from vec2uage.runs.index import factors, repeats, repeats_text, variant
from vec2uage.runs.result import RunResult

_SIDES = (("train", "train_mae"), ("validation", "val_mae"), ("test", "test_mae"))


def table(results: Sequence[RunResult]) -> str:
    """Minimum, mean and standard deviation of train, validation and test MAE (years) over the seeds that completed.

    A line per optimiser, as in the paper; where other options than seeds were swept, a line per combination.
    """
    options, results = factors(results), _scored(results)
    rows = defaultdict(list)
    for result in results:
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
    parts, again = [], repeats(results)
    names = [(results[place].name, results[earlier].name) for place, earlier in again.items()]
    results = [result for place, result in enumerate(results) if place not in again]
    if scored := _scored(results):
        parts.append(table(results))
        best = min(scored, key=lambda r: (r.val_mae, r.name))
        parts.append(f"best by validation: {best.name} (mae {best.val_mae:.3f} val, {best.test_mae:.3f} test)")
    if names:
        parts.append(repeats_text(names))
    failed = [r for r in results if r.status != "completed"]
    if failed:
        parts.append(f"{len(failed)} of {len(results)} runs did not complete:")
        parts.extend(f"  {r.name}: {r.status}" + (f", {r.reason}" if r.reason else "") for r in failed)
    parts.append(f"runs:        {folder}\ntable:       {folder}/sweep.csv\ntensorboard --logdir {shlex.quote(folder)}")
    return "\n".join(parts)


def _scored(results: Sequence[RunResult]) -> list[RunResult]:
    """Return the runs that completed, with all their errors, which a file changed by hand may lack."""
    keys = [key for _, key in _SIDES]
    return [r for r in results if r.status == "completed" and all(getattr(r, key) is not None for key in keys)]


def _cell(values: list[float]) -> str:
    spread = f"{statistics.stdev(values):.3f}" if len(values) > 1 else "-"
    return f"{min(values):8.3f}{statistics.fmean(values):7.3f}{spread:>7}"

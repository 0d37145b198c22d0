"""The end of a sweep: sweep.json, sweep.csv and a table in the layout of the paper's Table 2.

All is read from the run folders alone, so that it holds what earlier commands have trained there, too.
"""

import logging
import shlex
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from vec2uage.base.foreign_text import visible
from vec2uage.config.hydra.errors import error_sentence
from vec2uage.runs.index import collect, repeats, repeats_text, write_sweep
from vec2uage.runs.result import RunResult
from vec2uage.runs.search_record import FILE
from vec2uage.runs.variants import Options, explained, factors, read_configs, short_names, used_options, variant_names

log = logging.getLogger(__name__)

_PARTS = ("train", "validation", "test")
_NAMED = 3  # of the runs that ended alike; sweep.csv has all


def summarize(folder: Path, ended: Mapping[Path, RunResult], with_table: bool = True) -> None:
    """Write sweep.json and sweep.csv and print the table of all runs below a sweep's folder, if there are any.

    Without the table it says what did not complete.

    Of the runs that this session has `ended`, by their folders, those count whose results could not be written there.
    """
    results, rejects = collect(folder)
    results |= {path: r for path, r in ended.items() if path not in results or results[path].status == "pending"}
    rejects = {path: reason for path, reason in rejects.items() if path not in results}
    for path, reason in rejects.items():
        log.warning("%s left out: %s", path, reason)
    if not results:
        return
    runs, options = list(results.values()), list(used_options(results, read_configs(results)).values())
    try:
        write_sweep(runs, folder, options)
    except OSError as error:
        log.warning("sweep.json and sweep.csv do not tell how the runs have ended: %s", error_sentence(error))
    print(report(runs, options, str(folder), is_search=(folder / FILE).exists(), with_table=with_table))


def table(results: Sequence[RunResult], options: Sequence[Options], parts: Sequence[str] = _PARTS) -> str:
    """Minimum, mean and standard deviation of train, validation and test MAE (years) over the seeds that completed.

    A line per optimiser, as in the paper; where other options than seeds were swept, a line per combination.
    """
    scored = [number for number, result in enumerate(results) if _is_scored(result)]
    results, options = [results[number] for number in scored], [options[number] for number in scored]
    short = {name: visible(called) for name, called in short_names(results, options).items()}
    rows = defaultdict(list)
    for result, name in zip(results, variant_names(results, options), strict=True):
        rows[name].append(result)
    named = "optimizer" if all(result.optimizer for result in results) else "optimizer or model"
    if set(factors(options)) - {"optimizer", "model"}:
        named = "variant"
    width = max([len(named), *(len(short[name]) for name in rows)])
    lines = [
        f"{'MAE in years':{width}}       " + "".join(f"{part:^22}" for part in parts),
        f"{named:{width}}  runs " + f"{'min':>8}{'mean':>7}{'std':>7}" * len(parts),
    ]
    for name, members in rows.items():
        cells = "".join(_cell([m.scores[f"{part}/mae"] for m in members]) for part in parts)
        lines.append(f"{short[name]:{width}}  {len(members):4d} {cells}")
    return "\n".join([*lines, *map(visible, explained(short))])


def report(
    results: Sequence[RunResult],
    options: Sequence[Options],
    folder: str,
    is_search: bool = False,
    with_table: bool = True,
) -> str:
    """Return what is printed at the end of a sweep: table, best run by validation, what failed, where to look.

    That of a search has no test errors, as whoever chooses among its trials by these has no test set.
    """
    lines, again = [], repeats(results, options)
    names = [(results[place].name, results[earlier].name) for place, earlier in again.items()]
    options = [of_run for place, of_run in enumerate(options) if place not in again]
    results = [result for place, result in enumerate(results) if place not in again]
    if scored := [result for result in results if with_table and _is_scored(result)]:
        parts = [part for part in _PARTS if part != "test" or not is_search]
        lines.append(table(results, options, parts))
        best = min(scored, key=lambda r: (r.scores["validation/mae"], r.name))
        reached = ", ".join(f"{best.scores[f'{part}/mae']:.3f} {part}" for part in parts if part != "train")
        lines.append(f"best by validation: {visible(best.name)} (mae {reached})")
    if names:
        lines.append(visible(repeats_text(names)))
    if pruned := sum(r.status == "pruned" for r in results):
        lines.append(f"{pruned} of {len(results)} runs were pruned; {folder}/sweep.csv says why")
    failed = [r for r in results if r.status not in ("completed", "pruned")]
    if failed:
        lines.append(f"{len(failed)} of {len(results)} runs did not complete:")
        lines.extend(map(visible, _by_ending(failed)))
    lines += [visible(f"{r.name} is left out: {r.unusable}") for r in results if r.status == "completed" and r.unusable]
    lines.append(f"runs:        {folder}\ntable:       {folder}/sweep.csv\ntensorboard --logdir {shlex.quote(folder)}")
    return "\n".join(lines)


def _is_scored(result: RunResult) -> bool:
    """Tell whether a run completed, with errors that can be averaged: a file changed by hand may lack them."""
    return result.status == "completed" and not result.unusable


def _by_ending(results: Sequence[RunResult]) -> list[str]:
    """Return a line for each way in which runs have ended, with the names of the first few."""
    names = defaultdict(list)
    for result in results:
        names[result.ending].append(result.name)
    return [
        f"  {', '.join(own[:_NAMED])}{f' and {len(own) - _NAMED} more' if len(own) > _NAMED else ''}: {ending}"
        for ending, own in names.items()
    ]


def _cell(values: list[float]) -> str:
    std = f"{statistics.stdev(values):.3f}" if len(values) > 1 else "-"
    return f"{min(values):8.3f}{statistics.fmean(values):7.3f}{std:>7}"

"""Many run folders as one table."""

import logging
import re
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vec2uage.base.atomic import write_json
from vec2uage.base.csv_file import write_csv
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult
from vec2uage.runs.variants import Options, stated_options, swept


@dataclass
class _Runs:
    runs: list[RunResult]


log = logging.getLogger(__name__)

_RUNS = TypeAdapter(_Runs)
_NESTED = ("scores", "overrides", "choices", "files", "provenance", "members")
_SCALARS = tuple(field.name for field in fields(RunResult) if field.name not in _NESTED)


def collect(root: Path) -> tuple[dict[Path, RunResult], dict[Path, str]]:
    """Read every run folder (one with a `result.json`) at or below `root`, and what `sweep.json` knows of others.

    Returns the results by folder in the order of these (numbers in names count as numbers: 2 before 10), each named by
    where it lies below `root`, and for each folder whose result cannot be read the reason. A damaged `sweep.json` is
    told in the log. Raises UserError if `root` is not a folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder, so there are no runs to read")
    results: dict[Path, RunResult] = {}
    rejects: dict[Path, str] = {}
    for file in root.rglob("result.json"):
        folder = file.parent
        try:
            results[folder] = replace(RunFolder(folder).read_result(), name=run_name(folder, root))
        except UserError as error:
            rejects[folder] = str(error)
    moved = [replace(result, name="") for result in results.values()]
    try:
        known = read_sweep(root) if (root / "sweep.json").exists() else []
    except UserError as error:
        log.warning("%s: which runs had not begun is not known", error)
        known = []
    for result in known:
        folder = root / result.name
        is_told = folder in results or folder in rejects or replace(result, name="") in moved
        if is_told or not folder.is_relative_to(root):  # an absolute name is none that a sweep has given
            continue
        if result.status in ("pending", "running"):
            results[folder] = result
        else:
            rejects[folder] = f"{folder / 'result.json'}: missing, though sweep.json has this run as {result.status}"
    return {path: results[path] for path in sorted(results, key=_natural)}, rejects


def run_name(folder: Path, sweep: Path) -> str:
    """Name a run by where its folder lies below that of its sweep: `sgd/000_seed=1`; by itself where that is the same.

    Its last part alone would be a name that others may have, too.
    """
    folder, sweep = folder.absolute(), sweep.absolute()
    return folder.name if folder == sweep else folder.relative_to(sweep).as_posix()


def read_sweep(folder: Path) -> list[RunResult]:
    """Read the results of all runs of a sweep from its one `sweep.json`; UserError if that is missing or damaged."""
    path = folder / "sweep.json"
    try:
        return _RUNS.validate_json(path.read_bytes()).runs
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def write_sweep(results: Sequence[RunResult], folder: Path, options: Sequence[Options] | None = None) -> None:
    """Write all results of a sweep as `sweep.json`, and as `sweep.csv` with their options: by default those set."""
    write_json(folder / "sweep.json", {"runs": [asdict(result) for result in results]})
    write_table(results, list(map(stated_options, results)) if options is None else options, folder / "sweep.csv")


def repeats(results: Sequence[RunResult], options: Sequence[Options]) -> dict[int, int]:
    """Return the positions of runs that repeat an earlier one, and the position of that one.

    Runs of the same configuration, data and code have the same numbers, and would count twice in every mean. So have
    those that differ in nothing but `seed`, if the model draws nothing from it, as most of scikit-learn's: they predict
    the same bits. A network draws its first weights. `options` are what the runs were made with.
    """
    first: dict[Hashable, int] = {}
    found = {}
    for position, (result, of_run) in enumerate(zip(results, options, strict=True)):
        if result.status != "completed" or not (result.data_fingerprint and result.code):
            continue
        on = result.data_fingerprint, result.code
        keys: list[Hashable] = []
        if result.config_hash:
            keys.append((result.config_hash, *on))
        if result.optimizer is None and (predicted := result.files.get("predictions.csv")):
            keys.append((predicted, *_without_seed(result, of_run), *on))
        earlier = min((first[key] for key in keys if key in first), default=position)
        first |= {key: earlier for key in keys if key not in first}
        if earlier != position:
            found[position] = earlier
    return found


def _without_seed(result: RunResult, options: Options) -> tuple[Hashable, ...]:
    """Return what a run was made with, but for its seed."""
    others = {option: value for option, value in options.items() if option != "seed"}
    return result.dataset, result.model, *sorted(others.items())


def repeats_text(names: Sequence[tuple[str, str]]) -> str:
    """Say that runs are left out as they repeat others; `names` are those of each run and of the one it repeats."""
    repeated, earlier = names[0]
    what = "the same run, or another seed of a model that draws nothing from it"
    return f"{counted(len(names), 'run')} left out as repeated ({what}): {repeated} is {earlier} once more"


def write_table(results: Sequence[RunResult], options: Sequence[Options], path_csv: Path) -> None:
    """Write one row a run: the scalar fields of `result.json`, all scores, the swept options; what is None is empty.

    The column `repeats` names the earlier run that a run is once more (see `repeats`): means should leave it out.
    """
    columns = [option for option in swept(options) if option not in _SCALARS]
    scores = list(dict.fromkeys(name for result in results for name in result.scores))
    again = repeats(results, options)

    def row(position: int, result: RunResult, of_run: Options) -> list[object]:
        scalars = [getattr(result, name) for name in _SCALARS]
        repeated = results[again[position]].name if position in again else ""
        measured = [result.scores.get(name) for name in scores]
        return [*scalars, repeated, *measured, *(of_run.get(option, "") for option in columns)]

    rows = [row(position, *pair) for position, pair in enumerate(zip(results, options, strict=True))]
    write_csv(path_csv, (*_SCALARS, "repeats", *scores, *columns), rows)


def _natural(path: Path) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]

"""Sweeps of finished runs, read from their folders."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.reporting.read_run import Run, read_run
from vec2uage.reporting.searched import Searched
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import collect, repeats
from vec2uage.runs.result import RunResult
from vec2uage.runs.search_record import SearchRecord, read_search
from vec2uage.runs.variants import (
    Options,
    differing,
    factors,
    is_seed,
    read_configs,
    short_names,
    swept,
    used_options,
    variant_names,
)

_GENDERS, _KINDS = ("female", "male", ""), ("photographed", "augmented", "repeated")  # in a data.csv


@dataclass(frozen=True, eq=False)
class Sweep:
    """The runs of one sweep's folder."""

    folder: Path
    name: str
    runs: tuple[Run, ...]
    """Those that completed."""
    others: tuple[RunResult, ...]
    """Those that did not: diverged, pruned, failed, interrupted or pending."""
    rejects: dict[Path, str]
    """Folders that cannot be read, and why."""
    repeated: dict[Path, Path]
    """Folders of completed runs that are another one's over again, and that one's."""
    factors: tuple[str, ...]
    """The options that have different values, without seeds."""
    by: tuple[str, ...]
    """Those of them that its variants differ in; none where these differ in all of them."""
    whole_names: Mapping[str, str]
    """What the variants are by their short names, those without a completed run, too."""
    left_out: Mapping[str, int]
    """How many runs of each variant are not among `runs`, for another reason than that they repeat one."""
    mixed: Mapping[str, tuple[str, ...]]
    """The variants whose runs have different configurations, though no option that was set tells of it: in what."""
    constant: frozenset[Path]
    """The folders of runs that others with other seeds repeat: no seed changes their model."""
    search: Searched | None
    """The search that its runs are the best of, and all other runs are left to; None for a sweep that is none."""

    @property
    def may_be_tested(self) -> bool:
        """Whether it is chosen what its runs are: where several objectives leave that open, no test error is shown."""
        return self.search is None or self.search.record.chosen is not None

    @cached_property
    def variants(self) -> dict[str, list[Run]]:
        """The runs of one variant, in the order of their first runs."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.variant, []).append(run)
        return found

    @cached_property
    def alike(self) -> list[list[Run]]:
        """The runs that differ in nothing but seeds."""
        found: dict[tuple[str, ...], list[Run]] = {}
        for run in self.runs:
            found.setdefault((run.variant, *run.others), []).append(run)
        return list(found.values())

    @property
    def averaged_over(self) -> tuple[str, ...]:
        """The swept options that the runs of one variant may differ in, besides seeds."""
        return tuple(option for option in self.factors if option not in self.by) if self.by else ()

    def is_constant(self, name: str) -> bool:
        """Tell whether a variant is one model, or the mean of several, that no seed changes."""
        runs = self.variants[name]
        return {run.folder for run in runs} <= self.constant and len({run.seeds for run in runs}) == 1

    @property
    def splits_differ(self) -> bool:
        """Whether the runs were tested on several splits, or differ in another seed besides their own."""
        return any(len(run.seeds) > 1 for run in self.runs)

    @property
    def compares(self) -> str:
        """What the names of variants tell: optimizers, models where there are none, both, or more; the options `by`."""
        if self.by:
            return ", ".join(self.by)
        if set(self.factors) - {"optimizer", "model"}:
            return "variant"
        found = {"model" if run.result.optimizer is None else "optimizer" for run in self.runs}
        return " or ".join(sorted(found, reverse=True))

    @property
    def variant_noun(self) -> str:
        """What a sentence calls a variant: an optimiser where runs differ in nothing else that would have a name."""
        return "variant" if self.by or self.compares == "variant" else "optimiser"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of the first run; empty if it cannot be read."""
        try:
            return RunFolder(self.runs[0].folder).read_config()
        except UserError:
            return {}

    def group(self, name: str) -> dict[str, Any]:
        """Return a group of the configuration; empty if there is none."""
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}

    @cached_property
    def row_counts(self) -> list[dict[str, str]]:
        """The first run's data.csv: faces by part, kind, source, gender and age; none if unreadable or changed."""
        files, result = RunFolder(self.runs[0].folder), self.runs[0].result
        try:
            if not files.is_as_written(files.data, result):
                return []
            rows = read_csv(files.data)
        except (OSError, ValueError):
            return []
        return rows if all(map(_is_row_count, rows)) else []


def read_sweep(folder: Path, name: str | None = None, by: Sequence[str] = ()) -> Sweep:
    """Read a sweep, leaving out what is damaged.

    `name` is what the report calls it, by default as its folder is called; `by` are the swept options that its variants
    are to differ in, by default all of them. Of a search, only the runs of its best trials are read: all others were
    tried and not chosen, so that their test errors are nobody's business. Raises UserError where the folder is missing,
    no run has completed, or an option of `by` was not swept.
    """
    found, rejects = collect(folder)
    if search := read_search(folder):
        if by:
            raise UserError(
                f"by={','.join(by)}: {folder} is a search, and its report is on the best trial alone: leave by out"
            )
        found, rejects = _of_best(search, folder, found, rejects)
    configs = read_configs(found)
    options = used_options(found, configs, by)
    again = repeats(list(found.values()), list(options.values()))
    paths = list(found)
    repeated = {paths[place]: paths[earlier] for place, earlier in again.items()}
    constant = frozenset(earlier for path, earlier in repeated.items() if found[path].seed != found[earlier].seed)
    results = {path: result for path, result in found.items() if path not in repeated}
    options = {path: options[path] for path in results}
    all_options = list(options.values())
    varied, seeds = factors(all_options), [option for option in swept(all_options) if is_seed(all_options, option)]
    if missing := [option for option in by if option not in varied]:
        varies = f"it varies {', '.join(varied)}" if varied else "nothing varies in it"
        raise UserError(f"by={','.join(missing)}: this was not swept in {folder}: besides seeds, {varies}")
    others = [option for option in varied if option not in by] if by else []
    short = short_names(list(results.values()), all_options, by)
    whole = variant_names(list(results.values()), all_options, by)
    names = {path: short[name] for path, name in zip(results, whole, strict=True)}
    numbers = Counter(map(_number, results.values()))
    runs = []
    for path, result in results.items():
        if result.status == "completed":
            number = _number(result)
            label = number if number.isdecimal() and numbers[number] == 1 else result.name
            try:
                runs.append(
                    read_run(
                        path,
                        result,
                        label=label,
                        options=options[path],
                        variant=names[path],
                        others=others,
                        seeds=seeds,
                    )
                )
            except UserError as error:
                rejects[path] = str(error)
    ended = tuple(result for result in results.values() if result.status != "completed")
    if not runs:
        reasons = [f"{result.name}: {result.status}" for result in ended] + list(rejects.values())
        raise UserError(f"{folder}: no completed run to report on ({'; '.join(reasons[:3]) or 'no run at all'})")
    used = {run.folder for run in runs}
    return Sweep(
        folder,
        name or folder.absolute().name,
        tuple(runs),
        ended,
        rejects,
        repeated,
        tuple(varied),
        tuple(by),
        whole_names={of: whole for whole, of in short.items()},
        left_out=Counter(of for path, of in names.items() if path not in used),
        mixed=_mixed(runs, configs, seeds),
        constant=constant,
        search=Searched(search) if search else None,
    )


def _of_best(
    search: SearchRecord, folder: Path, found: Mapping[Path, RunResult], rejects: Mapping[Path, str]
) -> tuple[dict[Path, RunResult], dict[Path, str]]:
    """Return the runs of the best trials, and why others of them cannot be read."""
    if not search.best:
        raise UserError(f"{folder}: no trial of this search has completed ({search.endings})")
    kept, missing = {}, {}
    for name in (name for number in search.best for name in search.known[number].runs):
        path = folder / name
        try:
            kept[path] = found[path] if path in found else replace(RunFolder(path).read_result(), name=name)
        except UserError as error:
            missing[path] = rejects.get(path, str(error))
    return kept, missing


def _mixed(runs: Sequence[Run], configs: Mapping[Path, Options], seeds: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return in what runs differ, by their variant, though no option that was set tells of it."""
    alike: dict[tuple[str, ...], list[Options]] = {}
    for run in runs:
        alike.setdefault((run.variant, *run.others), []).append(configs[run.folder])
    found: dict[str, tuple[str, ...]] = {}
    for (variant, *_), own in alike.items():
        if keys := differing(own, ["seed", *seeds]):
            found[variant] = tuple(dict.fromkeys([*found.get(variant, ()), *keys]))
    return found


def _number(result: RunResult) -> str:
    """Return what the name of a run's folder begins with."""
    return result.name.rpartition("/")[2].partition("_")[0]


def _is_row_count(row: dict[str, str]) -> bool:
    """Tell whether a row of data.csv is whole."""
    texts = all(isinstance(row.get(name), str) for name in ("part", "kind", "source", "gender", "age", "faces"))
    if not texts or row["gender"] not in _GENDERS or row["kind"] not in _KINDS:
        return False
    return row["age"].isdecimal() and row["faces"].isdecimal()

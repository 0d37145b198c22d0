"""Sweeps of finished runs, read from their folders."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.predictions import metrics
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import collect, repeats
from vec2uage.runs.result import LARGEST, RunResult
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

Columns = dict[str, Float[np.ndarray, " _"]]
_GENDERS, _KINDS = ("female", "male", ""), ("photographed", "augmented", "repeated")  # in a data.csv


@dataclass(frozen=True, eq=False)
class Run:
    """A completed run, with what lies in its folder."""

    folder: Path
    result: RunResult
    label: str
    """Its number in the sweep; its name where that has none, or one that others have, too, as in a grown sweep."""
    options: Options
    """What it was made with of the options that were set for any run of the sweep."""
    variant: str
    """What its options without seeds make of it: `sgd`, or `sgd method=paper`; long ones are shortened."""
    seeds: tuple[str, ...]
    """The values of all its seeds; runs of different variants are paired by them."""
    curve: Columns | None
    """Epoch, train and validation MAE (years) of each row of `metrics.csv`; None for a model without epochs."""
    range_test: Columns | None
    """`lr_range_test.csv` (lr, loss, smoothed); None if there was no range test."""
    per_age: dict[int, float]
    """The test MAE (years) of each whole age."""
    tested: str
    """Hex digits that change with the name or age of any face it was tested on."""

    @property
    def name(self) -> str:
        return self.result.name

    @property
    def train_mae(self) -> float:
        return self.result.scores["train/mae"]

    @property
    def val_mae(self) -> float:
        return self.result.scores["validation/mae"]

    @property
    def test_mae(self) -> float:
        return self.result.scores["test/mae"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """The runs of one sweep's folder."""

    folder: Path
    name: str
    runs: tuple[Run, ...]
    """Those that completed."""
    others: tuple[RunResult, ...]
    """Those that did not: diverged, failed, interrupted or pending."""
    rejects: dict[Path, str]
    """Folders that cannot be read, and why."""
    repeated: dict[Path, Path]
    """Folders of completed runs that are another one's over again, and that one's."""
    factors: tuple[str, ...]
    """The options that have different values, without seeds."""
    whole_names: Mapping[str, str]
    """What the variants are by their short names, those without a completed run, too."""
    left_out: Mapping[str, int]
    """How many runs of each variant are not among `runs`, for another reason than that they repeat one."""
    mixed: Mapping[str, tuple[str, ...]]
    """The variants whose runs have different configurations, though no option that was set tells of it: in what."""
    constant: frozenset[Path]
    """The folders of runs that others with other seeds repeat: no seed changes their model."""

    @cached_property
    def variants(self) -> dict[str, list[Run]]:
        """The runs that differ in nothing but seeds, in the order of their first runs."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.variant, []).append(run)
        return found

    def is_constant(self, name: str) -> bool:
        """Tell whether a variant is one model that no seed changes."""
        runs = self.variants[name]
        return len(runs) == 1 and runs[0].folder in self.constant

    @property
    def compares(self) -> str:
        """What the variants are by name: optimizers, models where runs have no optimizer, or both."""
        found = {"model" if run.result.optimizer is None else "optimizer" for run in self.runs}
        return " or ".join(sorted(found, reverse=True))

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

    def pairs(self, one: str, other: str) -> list[tuple[Run, Run]]:
        """Return the runs of two variants paired by their seeds; none where most runs of either have no partner.

        A few may lack one, because the run of the other variant with that seed did not complete.
        """
        left, right = ({run.seeds: run for run in self.variants[name]} for name in (one, other))
        common = [seeds for seeds in left if seeds in right]
        most = max(len(self.variants[one]), len(self.variants[other])) / 2
        return [(left[seeds], right[seeds]) for seeds in common] if len(common) > most else []


def read_sweep(folder: Path, name: str | None = None) -> Sweep:
    """Read a sweep, leaving out what is damaged; UserError where the folder is missing or no run has completed.

    `name` is what the report calls it, by default as its folder is called.
    """
    found, rejects = collect(folder)
    configs = read_configs(found)
    options = used_options(found, configs)
    again = repeats(list(found.values()), list(options.values()))
    paths = list(found)
    repeated = {paths[place]: paths[earlier] for place, earlier in again.items()}
    constant = frozenset(earlier for path, earlier in repeated.items() if found[path].seed != found[earlier].seed)
    results = {path: result for path, result in found.items() if path not in repeated}
    options = {path: options[path] for path in results}
    all_options = list(options.values())
    varied, seeds = factors(all_options), [option for option in swept(all_options) if is_seed(all_options, option)]
    short = short_names(list(results.values()), all_options)
    whole = variant_names(list(results.values()), all_options)
    names = {path: short[name] for path, name in zip(results, whole, strict=True)}
    numbers = Counter(map(_number, results.values()))
    runs = []
    for path, result in results.items():
        if result.status == "completed":
            number = _number(result)
            label = number if number.isdecimal() and numbers[number] == 1 else result.name
            try:
                runs.append(_read_run(path, result, label, options[path], names[path], seeds))
            except UserError as error:
                rejects[path] = str(error)
    others = tuple(result for result in results.values() if result.status != "completed")
    if not runs:
        reasons = [f"{result.name}: {result.status}" for result in others] + list(rejects.values())
        raise UserError(f"{folder}: no completed run to report on ({'; '.join(reasons[:3]) or 'no run at all'})")
    of_name: dict[str, list[Options]] = {}
    for run in runs:
        of_name.setdefault(run.variant, []).append(configs[run.folder])
    differences = {of: tuple(differing(own, ["seed", *seeds])) for of, own in of_name.items()}
    used = {run.folder for run in runs}
    return Sweep(
        folder,
        name or folder.absolute().name,
        tuple(runs),
        others,
        rejects,
        repeated,
        tuple(varied),
        whole_names={of: whole for whole, of in short.items()},
        left_out=Counter(of for path, of in names.items() if path not in used),
        mixed={of: keys for of, keys in differences.items() if keys},
        constant=constant,
    )


def _number(result: RunResult) -> str:
    """Return what the name of a run's folder begins with."""
    return result.name.rpartition("/")[2].partition("_")[0]


def _read_run(folder: Path, result: RunResult, label: str, options: Options, name: str, seeds: Sequence[str]) -> Run:
    files = RunFolder(folder)
    if result.unusable:
        raise UserError(f"{files.result}: {result.unusable}")
    curve = _columns(files.metrics, ("epoch", "train/mae", "validation/mae")) if result.epochs else None
    if curve is not None and len(curve["epoch"]) != result.epochs:
        raise UserError(f"{files.metrics}: {len(curve['epoch'])} epochs instead of {result.epochs}")
    if curve is not None and not all(np.isfinite(values).any() for values in curve.values()):
        raise UserError(f"{files.metrics}: holds no number")
    predictions = _columns(files.predictions, ("age", "prediction"))
    if not (np.abs([*predictions.values()]) <= LARGEST).all() or (predictions["age"] < 0).any():
        raise UserError(f"{files.predictions}: holds an age below 0, or an age or prediction that is no number")
    relied_on = [files.predictions] if curve is None else [files.predictions, files.metrics]
    relied_on += [
        path for path in (files.config, files.lr_range_test_csv) if path.name in result.files and path.is_file()
    ]
    if changed := [path for path in relied_on if not files.is_as_written(path, result)]:
        raise UserError(f"{changed[0]}: changed since the run ended")
    return Run(
        folder=folder,
        result=result,
        label=label,
        options=options,
        variant=name,
        seeds=(str(result.seed), *(options.get(option, "") for option in seeds if option != "seed")),
        curve=curve,
        range_test=_range_test(files.lr_range_test_csv),
        per_age=metrics.per_age(predictions["age"], Point(predictions["prediction"])),
        tested=_faces(files.predictions),
    )


def _range_test(path: Path) -> Columns | None:
    """Read the points of a range test that can be drawn, None where there are none: a loss may end as infinite."""
    if not path.is_file():
        return None
    columns = _columns(path, ("lr", "loss", "smoothed"))
    finite = np.isfinite(columns["smoothed"]) & (columns["lr"] > 0)
    return {name: values[finite] for name, values in columns.items()} if finite.any() else None


def _faces(path: Path) -> str:
    """Name the faces of a predictions.csv that `_columns` has read, in whatever order they are."""
    import pyarrow
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    texts = ConvertOptions(
        include_columns=["name", "age"], column_types=dict.fromkeys(("name", "age"), pyarrow.string())
    )
    try:
        table = read_csv(path, parse_options=ParseOptions(newlines_in_values=True), convert_options=texts)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: unreadable: {str(error).splitlines()[0]}") from None
    rows = sorted(zip(*(table.column(name).to_pylist() for name in ("name", "age")), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _columns(path: Path, names: Sequence[str]) -> Columns:
    """Read columns of numbers from a CSV file; UserError where they are not there, or not numbers."""
    import pyarrow
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    wanted = ConvertOptions(include_columns=list(names), column_types=dict.fromkeys(names, pyarrow.float64()))
    try:
        table = read_csv(path, parse_options=ParseOptions(newlines_in_values=True), convert_options=wanted)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: unreadable: {str(error).splitlines()[0]}") from None
    columns = {name: table.column(name).to_numpy() for name in names}
    if not len(table) or np.isnan(columns[names[0]]).any():
        raise UserError(f"{path}: incomplete")
    return columns


def _is_row_count(row: dict[str, str]) -> bool:
    """Tell whether a row of data.csv is whole."""
    texts = all(isinstance(row.get(name), str) for name in ("part", "kind", "source", "gender", "age", "faces"))
    if not texts or row["gender"] not in _GENDERS or row["kind"] not in _KINDS:
        return False
    return row["age"].isdecimal() and row["faces"].isdecimal()

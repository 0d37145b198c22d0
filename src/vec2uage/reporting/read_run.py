"""One completed run, read from its folder."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vec2uage.base.errors import UserError
from vec2uage.predictions import metrics
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import LARGEST, RunResult
from vec2uage.runs.variants import Options

Columns = dict[str, Float[np.ndarray, " _"]]
PARTS = ("train", "validation", "test")
_OF_DISTRIBUTIONS = ("low_90", "high_90", "pit", "crps", "p_minor")
"""The columns of predictions.csv that tell how sure a model is, and whether rightly; that of points has none."""


@dataclass(frozen=True, eq=False)
class Distributions:
    """What a run's predictions.csv tells of the distribution of each face's age; ages, bounds and CRPS in years."""

    name: np.ndarray
    person: np.ndarray
    """Who it is: a subject, or nobody else than the face where that is not known."""
    age: Float[np.ndarray, " N"]
    prediction: Float[np.ndarray, " N"]
    low_90: Float[np.ndarray, " N"]
    high_90: Float[np.ndarray, " N"]
    pit: Float[np.ndarray, " N"]
    crps: Float[np.ndarray, " N"]
    p_minor: Float[np.ndarray, " N"]


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
    others: tuple[str, ...]
    """The values of the swept options, seeds aside, that its variant says nothing of; "" for what it does not have."""
    seeds: tuple[str, ...]
    """The values of all its seeds; runs of different variants are paired by them."""
    curve: Columns | None
    """Epoch, train and validation MAE (years) of each row of `metrics.csv`; None for a model without epochs."""
    range_test: Columns | None
    """`lr_range_test.csv` (lr, loss, smoothed); None if there was no range test."""
    per_age: dict[int, float]
    """The test MAE (years) of each whole age."""
    distributions: Distributions | None
    """None for points."""
    tested: str
    """Hex digits that change with the name or age of any face it was tested on."""

    @property
    def name(self) -> str:
        return self.result.name

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """Those of its result; of points, whose CRPS is their absolute error, that of all parts in any case."""
        points = {} if self.distributions else {f"{part}/crps": self.result.scores[f"{part}/mae"] for part in PARTS}
        return points | self.result.scores

    @property
    def train_mae(self) -> float:
        return self.result.scores["train/mae"]

    @property
    def val_mae(self) -> float:
        return self.result.scores["validation/mae"]

    @property
    def test_mae(self) -> float:
        return self.result.scores["test/mae"]


def read_run(
    folder: Path,
    result: RunResult,
    *,
    label: str,
    options: Options,
    variant: str,
    others: Sequence[str],
    seeds: Sequence[str],
) -> Run:
    """Read the run of a folder, called `variant`; `others` and `seeds` are the swept options that this does not name.

    Raises UserError where anything that is relied on is damaged, missing, or no longer what the run has written.
    """
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
        variant=variant,
        others=tuple(options.get(option, "") for option in others),
        seeds=(str(result.seed), *(options.get(option, "") for option in seeds if option != "seed")),
        curve=curve,
        range_test=_range_test(files.lr_range_test_csv),
        per_age=metrics.per_age(predictions["age"], Point(predictions["prediction"])),
        distributions=_distributions(files.predictions, predictions),
        tested=_faces(files.predictions),
    )


def _distributions(path: Path, predictions: Columns) -> Distributions | None:
    """Read what a predictions.csv tells of distributions, beside these columns of it; None where it is of points."""
    with path.open(encoding="utf-8", errors="replace") as file:
        if not set(_OF_DISTRIBUTIONS) <= set(file.readline().rstrip("\r\n").split(",")):
            return None
    columns = _columns(path, _OF_DISTRIBUTIONS)
    shares = np.array([columns["pit"], columns["p_minor"]])
    if not np.isfinite([*columns.values()]).all() or (shares < 0).any() or (shares > 1).any():
        raise UserError(f"{path}: holds an interval or a CRPS that is no number, or a probability beyond 0 to 1")
    names, subjects = _texts(path, ("name", "subject"))
    people = [f"subject {who}" if who else f"face {name}" for name, who in zip(names, subjects, strict=True)]
    return Distributions(np.array(names, dtype=object), np.array(people, dtype=object), **predictions, **columns)


def _range_test(path: Path) -> Columns | None:
    """Read the points of a range test that can be drawn, None where there are none: a loss may end as infinite."""
    if not path.is_file():
        return None
    columns = _columns(path, ("lr", "loss", "smoothed"))
    finite = np.isfinite(columns["smoothed"]) & (columns["lr"] > 0)
    return {name: values[finite] for name, values in columns.items()} if finite.any() else None


def _faces(path: Path) -> str:
    """Name the faces of a predictions.csv that `_columns` has read, in whatever order they are."""
    rows = sorted(zip(*_texts(path, ("name", "age")), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _texts(path: Path, names: Sequence[str]) -> list[list[str]]:
    """Read columns of a CSV file as they are written there."""
    import pyarrow
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    texts = ConvertOptions(include_columns=list(names), column_types=dict.fromkeys(names, pyarrow.string()))
    try:
        table = read_csv(path, parse_options=ParseOptions(newlines_in_values=True), convert_options=texts)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: unreadable: {str(error).splitlines()[0]}") from None
    return [table.column(name).to_pylist() for name in names]


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

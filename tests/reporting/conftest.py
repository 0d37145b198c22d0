"""Sweeps as folders, written by hand: what a report reads, with numbers that a test chooses."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from vec2uage.predictions.metrics import scores
from vec2uage.predictions.normal import Normal
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.metrics_log import MetricsLog
from vec2uage.runs.result import RunResult

Maes = Mapping[str, Sequence[tuple[float, float]]]


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Write a sweep: `write_sweep("d1", {"sgd": [(val, test), ...]})`; runs of one position share a seed.

    A variant is an optimizer and options, or a model that is not trained in epochs: `"ridge model.alpha=1"`.
    """

    def write(name: str, maes: Maes, first_seed: int = 1, **changes: object) -> Path:
        folder, number = tmp_path / name, 0
        for variant, runs in maes.items():
            optimizer, *others = variant.split(" ")
            for k, (val, test) in enumerate(runs):
                seed = first_seed + k
                path = folder / f"{number:03d}_{optimizer},seed={seed}"
                write_run(path, optimizer, seed, val, test, others, **changes)
                number += 1
        return folder

    return write


def write_run(
    folder: Path,
    trained_by: str,
    seed: int,
    val: float,
    test: float,
    options: Sequence[str] = (),
    faces: str = "face",
    config: str = "",
    draws: bool = True,
    spread: float | None = None,
    subjects: int = 0,
    **changes: object,
) -> RunResult:
    """Write the folder of one completed run, of three epochs unless it is `ridge`, tested on the ages 1 to 18.

    Predictions of one that `draws` are those of its seed alone. With `spread` they are normal distributions of that
    deviation (years), with `subjects` of so many persons.
    """
    folder.mkdir(parents=True)
    files = RunFolder(folder)
    ages = np.repeat(np.arange(1, 19), 2).astype(np.float32)
    sign = np.random.default_rng(seed if draws else 0).choice([1, -1], len(ages))
    prediction = Point(ages + sign * test) if spread is None else Normal(ages + sign * test, np.full(len(ages), spread))
    persons = [f"person {k % subjects}" if subjects else "" for k in range(len(ages))]
    files.write_predictions([f"{faces} {k}" for k in range(len(ages))], persons, ages, prediction)
    files.write_data(
        [("train", "photographed", "album", gender, age, 5) for gender in ("female", "male") for age in range(1, 19)]
    )
    files.config.write_text(
        "lr_finder: {_target_: vec2uage.training.range_test.NoRangeTest}\n"
        f"model: {{_target_: vec2uage.training.models.MLP, hidden: [512, 256, 128]}}\nseed: {seed}\n{config}"
    )
    has_epochs = trained_by != "ridge"
    if has_epochs:
        with MetricsLog(files.metrics) as log:
            for k in range(3):
                log.append(k, 0.1, {"train/loss": 9.0, "train/mae": 3.0 - k, "validation/mae": val + 2 - k})
    of_distributions = {}
    if spread is not None:
        measured = {name: value for name, value in scores(ages, prediction).items() if np.isfinite(value)}
        of_distributions = {f"test/{name}": value for name, value in measured.items() if name != "mae"}
        of_distributions["validation/crps"] = val * measured["crps"] / test
    known = {
        "status": "completed",
        "name": folder.name,
        "seed": seed,
        "optimizer": trained_by if has_epochs else None,
        "model": "vec2uage" if has_epochs else trained_by,
        "dataset": "vectors",
        "lr": 0.1 if has_epochs else None,
        "epochs": 3 * has_epochs,
        "best_epoch": 2 if has_epochs else None,
        "scores": {"train/mae": val - 0.5, "validation/mae": val, "test/mae": test} | of_distributions,
        "seconds": 10.0,
        "data_fingerprint": "d",
        "encoder": "e",
        "code": "c",
        "command": "python -m vec2uage.train",
        "overrides": [f"{'optimizer' if has_epochs else 'model'}={trained_by}", f"seed={seed}", *options],
        "started": "2026-01-01T00:00:00+00:00",
        "provenance": {"torch": "2"},
    }
    result = RunResult(**(known | changes))  # type: ignore[arg-type]
    files.write_result(result)
    return result

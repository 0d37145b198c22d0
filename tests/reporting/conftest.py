"""Sweeps as folders, written by hand: what a report reads, with numbers that a test chooses."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from vec2uage.runs.folder import RunFolder
from vec2uage.runs.result import RunResult

Maes = Mapping[str, Sequence[tuple[float, float]]]


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Write a sweep: `write_sweep("d1", {"sgd": [(val, test), ...]})`; runs of one position share a seed."""

    def write(name: str, maes: Maes, options: Sequence[str] = (), first_seed: int = 1, **changes: object) -> Path:
        folder, number = tmp_path / name, 0
        for variant, runs in maes.items():
            optimizer, *others = variant.split(" ")
            for k, (val, test) in enumerate(runs):
                seed = first_seed + k
                write_run(
                    folder / f"{number:03d}_{optimizer},seed={seed}", optimizer, seed, val, test, others, **changes
                )
                number += 1
        return folder

    return write


def write_run(
    folder: Path,
    optimizer: str,
    seed: int,
    val: float,
    test: float,
    options: Sequence[str] = (),
    faces: str = "face",
    **changes: object,
) -> RunResult:
    """Write the folder of one completed run of three epochs, tested on faces of the ages 1 to 18."""
    folder.mkdir(parents=True)
    files = RunFolder(folder)
    ages = np.repeat(np.arange(1, 19), 2).astype(np.float32)
    sign = np.where(np.arange(len(ages)) % 2, 1, -1)
    files.write_predictions([f"{faces} {k}" for k in range(len(ages))], [""] * len(ages), ages, ages + sign * test)
    files.write_data(
        [("train", "photographed", "album", gender, age, 5) for gender in ("female", "male") for age in range(1, 19)]
    )
    files.config.write_text(
        "lr_finder: {_target_: vec2uage.training.range_test.NoRangeTest}\n"
        "model: {_target_: vec2uage.training.models.MLP, hidden: [512, 256, 128]}\n"
    )
    with files.metrics.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("epoch", "lr", "train_loss", "val_loss", "train_mae", "val_mae"))
        writer.writerows([(k, 0.1, 9.0, 9.0, 3.0 - k, val + 2 - k) for k in range(3)])
    known = {
        "status": "completed",
        "name": folder.name,
        "seed": seed,
        "optimizer": optimizer,
        "model": "vec2uage",
        "dataset": "vectors",
        "lr": 0.1,
        "epochs": 3,
        "best_epoch": 2,
        "train_mae": val - 0.5,
        "val_mae": val,
        "test_mae": test,
        "seconds": 10.0,
        "data_fingerprint": "d",
        "encoder": "e",
        "code": "c",
        "command": "python -m vec2uage.train",
        "overrides": [f"optimizer={optimizer}", f"seed={seed}", *options],
        "started": "2026-01-01T00:00:00+00:00",
        "provenance": {"torch": "2"},
    }
    result = RunResult(**(known | changes))  # type: ignore[arg-type]
    files.write_result(result)
    return result

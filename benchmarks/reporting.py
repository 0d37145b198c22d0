"""What a report on the paper's 160 runs takes: `python -m benchmarks.reporting`.

Two sweeps of 80 runs of the paper's size are written without training: 100 epochs, 4,500 test faces, a range test.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vec2uage.base.atomic import write_text
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.metrics_log import MetricsLog
from vec2uage.runs.result import RunResult

OPTIMIZERS = ("adagrad", "adam", "sgd", "swa")
EPOCHS, FACES, RATES = 100, 4500, 100
CONFIG = """
lr_finder: {_target_: vec2uage.training.range_test.RangeTest}
model: {_target_: vec2uage.training.models.MLP, hidden: [512, 256, 128]}
"""


def write_sweep(folder: Path, generator: np.random.Generator) -> None:
    """Write 80 finished runs."""
    ages = generator.uniform(1, 19, FACES).astype(np.float32)
    for number in range(80):
        optimizer, seed = OPTIMIZERS[number // 20], number % 20
        run = folder / f"{number:03d}_optimizer={optimizer},seed={seed}"
        run.mkdir(parents=True)
        files = RunFolder(run)
        predictions = ages + generator.normal(0, 3, FACES).astype(np.float32)
        files.write_predictions([f"face:{k}" for k in range(FACES)], [""] * FACES, ages, Point(predictions))
        counts = [
            ("train", kind, "album", sex, age, 100)
            for kind in ("photographed", "repeated")
            for sex in ("female", "male")
            for age in range(1, 19)
        ]
        files.write_data(counts)
        write_text(files.config, CONFIG)
        rates = 1e-8 * 10 ** (0.08 * np.arange(1, RATES + 1))
        lines = [f"{lr},{loss},{loss}" for lr, loss in zip(rates, generator.uniform(5, 100, RATES), strict=True)]
        write_text(files.lr_range_test_csv, "\n".join(["lr,loss,smoothed", *lines]) + "\n")
        curve = 2.4 + 3 * np.exp(-np.arange(EPOCHS) / 8) + generator.normal(0, 0.02, EPOCHS)
        with MetricsLog(files.metrics) as log:
            for epoch, mae in enumerate(curve.tolist()):
                losses = {"train/loss": 9.0, "validation/loss": 9.0}
                log.append(epoch, 0.02, losses | {"train/mae": mae - 0.4, "validation/mae": mae})
        val, test = (float(value) for value in generator.normal(2.45, 0.04, 2))
        result = RunResult(
            status="completed",
            name=run.name,
            seed=seed,
            optimizer=optimizer,
            model="vec2uage",
            dataset="vectors",
            lr=0.02,
            epochs=EPOCHS,
            best_epoch=int(curve.argmin()),
            scores={"train/mae": val - 0.4, "validation/mae": val, "test/mae": test},
            seconds=120.0,
            parameters=427_009,
            overrides=[f"optimizer={optimizer}", f"seed={seed}"],
            started="2026-01-01T00:00:00+00:00",
        )
        files.write_result(result)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="times to report; the fastest counts")
    given = parser.parse_args()
    generator, seconds = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as home:
        for name in ("d1", "e1"):
            write_sweep(Path(home) / name, generator)
        for _ in range(given.repeats):
            began = time.perf_counter()
            command = [sys.executable, "-m", "vec2uage.report", "sweep=d1", "sweep=e1"]
            subprocess.run(command, cwd=home, check=True, capture_output=True)
            seconds.append(time.perf_counter() - began)
        page = Path(home, "outputs/reports/d1+e1/index.html").stat().st_size
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"python -m vec2uage.report of two sweeps of 80 runs, fastest of {given.repeats}\n")
    print(f"{min(seconds):6.1f} s    goal < 15 s\n{memory:6.0f} MB   goal < 1000 MB\n{page / 2**20:6.1f} MB   the page")


if __name__ == "__main__":
    main()

"""Whether the guarantee for minors holds on real faces: `python -m benchmarks.minors SWEEP`, of runs with adults.

For each run, the faces of its calibration and test parts, none of which it has learnt from, stand for everybody. A
thousand calibration sets of as many faces as its calibration part are drawn from them with replacement, the threshold
is fitted to each, and what it flags of everybody is the truth.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from benchmarks.uncertainty import Predictions
from vec2uage.base.seeds import numpy_generator
from vec2uage.calibration import recall
from vec2uage.data.vectorset import needed_ages
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.minors import boundary, is_minor
from vec2uage.runs.index import collect

SETS = 1_000


def flagged_shares(
    prediction: Prediction, ages: np.ndarray, faces: int, wanted: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return which share of all minors, and of all adults, the threshold of each drawn set of faces flags."""
    minor, line = is_minor(ages), boundary(ages)
    shares = []
    for _ in range(SETS):
        drawn = generator.integers(len(ages), size=faces)
        flagged = recall.fit(prediction.take(drawn), ages[drawn], line, wanted, 0.95).flagged(prediction)
        shares.append((flagged[minor].mean(), flagged[~minor].mean()))
    of_minors, of_adults = np.array(shares).T
    return of_minors, of_adults


def main() -> None:
    """Print a line a run, and what holds over all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="folder of vec2uage.train, with a calibration part and adults")
    parser.add_argument("--recall", type=float, default=0.95)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    print(f"{'run':56}{'minors':>8}{'adults':>8}{'holds in':>10}{'recall':>9}{'adults flagged':>16}")
    held = []
    for folder, result in collect(arguments.sweep)[0].items():
        if result.status != "completed":
            continue
        run = Predictions([folder], result.seed)
        ages = np.concatenate([needed_ages(run.parts[name], "a guarantee") for name in ("calibration", "test")])
        of_both = run.model.predict(np.concatenate([run.parts[name].vectors for name in ("calibration", "test")]))
        faces = len(run.parts["calibration"])
        generator = numpy_generator(0, "benchmarks", "minors", result.name)
        minors, adults = flagged_shares(of_both, ages, faces, arguments.recall, generator)
        held.append((minors >= arguments.recall).mean())
        count = int(is_minor(ages).sum())
        print(
            f"{result.name[:55]:56}{count:8,d}{len(ages) - count:8,d}{held[-1]:10.1%}{minors.mean():9.1%}"
            f"{adults.mean():16.1%}",
            flush=True,
        )
    print(f"the recall is {arguments.recall:g} or more in {np.mean(held):.1%} of {len(held) * SETS:,} sets")


if __name__ == "__main__":
    main()

"""How good the distributions of runs are, as they come and conformal: `python -m benchmarks.uncertainty SWEEP...`.

Every completed run predicts the test faces of its own split, once as it comes and once calibrated on the calibration
faces of that split, and so does the ensemble of all runs of one configuration and split. Numbers are means over seeds,
then over splits. The last columns say how the CRPS differs from that of the baseline: the points of one configuration
(`--baseline`), made distributions by the residuals of all calibration faces. Its interval is of a bootstrap over faces,
each with all splits in which it is tested.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from vec2uage.base.seeds import numpy_generator
from vec2uage.calibration.conformal import Conformal
from vec2uage.config.validate import check_group, refuse
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import divided
from vec2uage.data.parts import Parts
from vec2uage.data.splits import Split
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.evaluation.calibrate import columns_of
from vec2uage.evaluation.ensemble import open_ensemble
from vec2uage.evaluation.evaluate_settings import Foreign
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.metrics import scores
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.index import collect, repeats
from vec2uage.runs.variants import factors, read_configs, used_options

SHOWN = ("mae", "mae_of_mean", "crps", "log_score", "coverage_50", "coverage_90", "coverage_95", "width_90", "pit_p")
RESAMPLES = 10_000


@dataclass(frozen=True)
class Judged:
    """What one model's distributions for the test faces of one split are worth."""

    measured: Mapping[str, float]
    names: np.ndarray
    ages: np.ndarray
    crps: np.ndarray
    covered: np.ndarray
    """Whether the 90% interval has the true age."""


def judge(test: VectorSet, prediction: Prediction) -> Judged:
    """Measure predictions for the test faces."""
    ages = needed_ages(test, "a judgement")
    low, high = prediction.interval(0.9)
    return Judged(scores(ages, prediction), test.names, ages, prediction.crps(ages), (low <= ages) & (ages <= high))


@lru_cache(maxsize=8)
def parts_of(dataset: Dataset, split: Split, seed: int) -> Parts:
    """Return the faces of a run by part; runs of one split share them."""
    return divided(dataset, split, split.seed_for(seed))


class Predictions:
    """The predictions of one model, or of several as an ensemble, for the calibration and the test part of a split."""

    def __init__(self, folders: Sequence[Path], seed: int) -> None:
        config, problems = RunFolder(folders[0]).read_config(), list[str]()
        dataset = check_group(config["dataset"], "dataset", Dataset, problems)
        split = check_group(config["split"], "split", Split, problems)
        refuse(problems)
        self.parts = parts_of(dataset, split, seed)
        self.model = open_ensemble(
            [RunFolder(folder).model for folder in folders], Foreign(normalization="l2", encoder=None)
        )
        self.calibration, self.test = (self.model.predict(self.parts[name].vectors) for name in ("calibration", "test"))

    def conformal(self, calibration: Conformal, prediction_of: type | None = None) -> Prediction:
        """Return the test predictions, calibrated on the calibration part; with `Point`, of the medians alone."""
        own, test = self.calibration, self.test
        if prediction_of is not None:
            own, test = prediction_of(own.median), prediction_of(test.median)
        faces = self.parts["calibration"]
        fitted = calibration.fit(own, needed_ages(faces, "a calibration"), columns_of(faces))
        return fitted(test, columns_of(self.parts["test"]))


RESIDUALS = Conformal(level=0.9, bins=1)


def ways(predictions: Predictions) -> Iterator[tuple[str, Prediction]]:
    """Yield the test predictions as they come, and calibrated in several ways."""
    yield "raw", predictions.test
    yield "residuals", predictions.conformal(RESIDUALS, Point)
    yield "conformal", predictions.conformal(Conformal())
    if predictions.test.has_spread:
        yield "conformal, scaled", predictions.conformal(Conformal(scale="spread"))


def judged_runs(sweeps: Sequence[Path], ensemble: int) -> dict[tuple[str, str], dict[str, list[Judged]]]:
    """Judge all runs; return for each configuration and way of calibration the judgements by split."""
    found: dict[tuple[str, str], dict[str, list[Judged]]] = {}
    for sweep in sweeps:
        results = {path: result for path, result in collect(sweep)[0].items() if result.status == "completed"}
        options = used_options(results, read_configs(results))
        paths = list(results)
        again = {paths[place] for place in repeats(list(results.values()), list(options.values()))}
        named = factors(list(options.values()))
        groups: dict[tuple[str, str], list[Path]] = {}
        for path in results:
            if path not in again:
                name = " ".join(f"{key}={options[path][key]}" for key in named if key in options[path])
                groups.setdefault((name, options[path].get("split.seed", "0")), []).append(path)
        for (name, split), members in groups.items():
            for folder in members:
                one = Predictions([folder], results[folder].seed)
                for way, prediction in ways(one):
                    found.setdefault((name, way), {}).setdefault(split, []).append(judge(one.parts["test"], prediction))
            if len(members) >= ensemble:
                together = Predictions(members[:ensemble], results[members[0]].seed)
                for way, prediction in ways(together):
                    whole = found.setdefault((f"{name} x{ensemble}", way), {})
                    whole.setdefault(split, []).append(judge(together.parts["test"], prediction))
            print(f"  {name}, split {split}: {len(members)} runs", flush=True)
    return found


def by_face(judged: Mapping[str, Sequence[Judged]]) -> dict[tuple[str, str], float]:
    """Return the CRPS of each face, by its split and name, as the mean over seeds."""
    return {
        (split, str(name)): float(score)
        for split, runs in judged.items()
        for name, score in zip(runs[0].names, np.mean([run.crps for run in runs], axis=0), strict=True)
    }


def difference(
    one: Mapping[tuple[str, str], float], other: Mapping[tuple[str, str], float]
) -> tuple[float, float, float]:
    """Return the change of the mean CRPS from `other` to `one` as a share, with a 95% interval over faces."""
    keys = [key for key in one if key in other]
    names, face = np.unique([name for _, name in keys], return_inverse=True)
    sums = np.zeros((2, len(names)))
    for row, scored in enumerate((one, other)):
        np.add.at(sums[row], face, [scored[key] for key in keys])
    generator = numpy_generator(0, "benchmarks", "uncertainty")
    draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    a, b = draws @ sums[0], draws @ sums[1]
    low, high = np.quantile(a / b - 1, (0.025, 0.975))
    return float(sums[0].sum() / sums[1].sum() - 1), float(low), float(high)


def print_table(found: Mapping[tuple[str, str], Mapping[str, Sequence[Judged]]], baseline: str) -> None:
    """Print a line for each configuration and way of calibration."""
    reference = by_face(found[baseline, "residuals"])
    heads = " ".join(f"{name:>11}" for name in SHOWN)
    print(f"\n{'configuration':44}{'':18}{'splits':>7}{'runs':>5} {heads}   CRPS against {baseline}, residuals")
    for (name, way), judged in found.items():
        of_splits = {
            metric: [np.mean([run.measured.get(metric, np.nan) for run in runs]) for runs in judged.values()]
            for metric in SHOWN
        }
        means = " ".join(f"{np.mean(values):11.3f}" for values in of_splits.values())
        change, low, high = difference(by_face(judged), reference)
        count = sum(map(len, judged.values()))
        print(f"{name:44}{way:18}{len(judged):7d}{count:5d} {means}   {change:+7.1%} [{low:+.1%}, {high:+.1%}]")


def print_ages(name: str, judged: Mapping[str, Sequence[Judged]]) -> None:
    """Print what 90% intervals cover at each age."""
    runs = [run for of_split in judged.values() for run in of_split]
    ages, covered = (np.concatenate([getattr(run, field) for run in runs]) for field in ("ages", "covered"))
    print(f"\n90% intervals of {name}: share covered at each age")
    for age in np.unique(np.floor(ages)):
        own = covered[np.floor(ages) == age]
        print(f"{age:4.0f} {len(own):6,d} {own.mean():6.1%}")


def main() -> None:
    """Judge the runs of sweeps and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", nargs="+", type=Path, help="folders of vec2uage.train, with calibration faces")
    parser.add_argument("--baseline", required=True, help="a configuration as a table names it, such as head=scalar")
    parser.add_argument("--ensemble", type=int, default=10, help="runs of one")
    parser.add_argument("--ages", help="a configuration whose coverage is shown for each age")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # what a split leaves out is told by the runs themselves
    found = judged_runs(arguments.sweep, arguments.ensemble)
    print_table(found, arguments.baseline)
    for name, way in found:
        if name == arguments.ages:
            print_ages(f"{name}, {way}", found[name, way])


if __name__ == "__main__":
    main()

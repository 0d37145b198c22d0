"""Which rows an evaluation predicts and calibrates on, and whether a run of training may have learnt from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vec2uage.base.errors import UserError
from vec2uage.data.dataset import Dataset, VectorFile
from vec2uage.data.loading import divided
from vec2uage.data.parts import UNDIVIDED, part_of, relabelled
from vec2uage.data.splits import Split
from vec2uage.data.vectorset import VectorSet
from vec2uage.evaluation.ensemble import run_seed
from vec2uage.evaluation.evaluate_settings import Evaluation
from vec2uage.runs.folder import RunFolder


def judged_rows(settings: Evaluation, paths: Sequence[Path]) -> VectorSet:
    """Return the rows to judge the model on that was read from `paths`; raises what `rows` does."""
    return rows(settings.dataset, settings.split, settings.part, _seed_of(settings, settings.part, paths))


def calibration_rows(settings: Evaluation, paths: Sequence[Path]) -> tuple[VectorSet, str]:
    """Return the rows to calibrate that model on, and what they are for people; raises what `rows` does."""
    calibrate, split = settings.calibrate, settings.split
    if calibrate.path is not None:
        dataset = VectorFile(path=calibrate.path, label=settings.dataset.label)
        return rows(dataset, split, "all", None), calibrate.path
    seed = _seed_of(settings, calibrate.part, paths)
    return rows(settings.dataset, split, calibrate.part, seed), f"the part {calibrate.part}"


def trained_rows(settings: Evaluation, paths: Sequence[Path], config: Any) -> VectorSet | None:
    """Return the rows that the runs of a model were trained on, None where the settings do not tell.

    They do where all runs had the dataset and the split of `config`, the configuration of the evaluation.
    """
    if not all(is_of_same_split(config, RunFolder(path.parent)) for path in paths):
        return None
    return rows(settings.dataset, settings.split, "train", _seed_of(settings, "train", paths))


def _seed_of(settings: Evaluation, part: str, paths: Sequence[Path]) -> int | None:
    """Return the seed by which the runs of a model divided the rows, None where it is not needed or not known."""
    return run_seed(paths) if part != "all" and settings.split.is_per_run else None


def is_of_same_data(config: Any, run: RunFolder) -> bool:
    """Tell whether a configuration has the dataset that a run's config.yaml names, or a file of its folder."""
    try:
        one, other = ({**made["dataset"], "label": None} for made in (run.read_config(), config))
    except (UserError, TypeError, KeyError):
        return False
    if not isinstance(one.get("path"), str) or not isinstance(other.get("path"), str):
        return one == other
    trained, given = Path(one["path"]).resolve(), Path(other["path"]).resolve()
    return given == trained or trained in given.parents or given in trained.parents


def is_of_same_split(config: Any, run: RunFolder) -> bool:
    """Tell whether a configuration divides its dataset, which is that of a run, into the parts that the run had."""
    return is_of_same_data(config, run) and run.read_config().get("split") == config.get("split")


def rows(dataset: Dataset, split: Split, part: str, run_seed: int | None) -> VectorSet:
    """Return the rows to predict: all that the split can hold out, or one of the parts that it makes.

    `run_seed` is the seed of the model's run, None if unknown. Raises UserError where the split depends on it, and
    where there are no rows.
    """
    if part == "all":
        return relabelled({UNDIVIDED: split.judged(dataset.read())}, dataset.label)[UNDIVIDED]
    if run_seed is None and split.is_per_run:
        raise UserError(
            "split.seed=run, but no result.json of a run of vec2uage beside the checkpoint tells the seed: "
            "set split.seed to that seed"
        )
    return part_of(divided(dataset, split, split.seed_for(run_seed or 0)), part)

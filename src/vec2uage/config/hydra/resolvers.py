"""Where conf/ lies, and what it resolves: the names that folders get from the options that were set."""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf

from vec2uage.config.settings import EXECUTION_OPTIONS

_LONGEST = 100
T = TypeVar("T")
_SWEEPS = Path("outputs", "sweeps")  # where conf/train.yaml puts them


def conf_dir() -> str:
    """Return the folder of the configuration: inside an installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "conf"
    return str(inside if inside.is_dir() else package.parents[1] / "conf")


def folder_name(overrides: Sequence[str]) -> str:
    """Name a folder after the options that were set: `optimizer=sgd,seed=1`, or `default` for none.

    Keys lose their group where they stay distinct, paths their folder, and odd characters are left out; a short hash
    at the end tells apart what was shortened, so that different options never share a folder.
    """
    kept = [o for o in overrides if not o.lstrip("+").startswith((*EXECUTION_OPTIONS, "hydra.", "hydra/"))]
    # a sweep of one value is that value (see `read_again.leave_to_jobs`)
    full = ",".join(re.sub(r"=choice\((.*)\)$", r"=\1", o) for o in kept)
    short = _short(full)
    if short == full:
        return full or "default"
    return f"{short}-{hashlib.sha256(full.encode()).hexdigest()[:6]}"


def job_name(number: int, swept: str) -> str:
    """Name a sweep's job after its number and the options that are swept: `003_optimizer=sgd,seed=1`."""
    return f"{number:03d}_{_short(swept)}" if swept else f"{number:03d}"


def sweep_name() -> str:
    """Name a sweep's folder after the command line: the same for all jobs, whose own options differ."""
    return folder_name([argument for argument in sys.argv[1:] if "=" in argument and not argument.startswith("-")])


def report_name(sweeps: str | Sequence[str] | None, by: Any = None) -> str:
    """Name a report's folder after the folders of its sweeps, `d1+e1`, and what it compares: `heads,by=head+loss`.

    `by` is what was typed, right or wrong. A short hash at the end tells apart what was shortened, and sweeps of one
    name in other folders than this one and where sweeps are by default.
    """
    paths = [Path(str(path)) for path in ([sweeps] if isinstance(sweeps, str) else list(sweeps or ()))]
    full = "+".join(Path(os.path.abspath(path)).name for path in paths)  # noqa: PTH100 - that of Path keeps ..
    if by:
        full += f",by={'+'.join(map(str, by)) if isinstance(by, list | ListConfig) else by}"
    elsewhere = [str(path) for path in paths if path.parent not in (Path(), _SWEEPS) or ".." in path.parts]
    short = re.sub(r"[^\w.,=+~-]", "", full, flags=re.ASCII)[:_LONGEST]
    if short != full or elsewhere:
        return f"{short}-{hashlib.sha256('+'.join([full, *elsewhere]).encode()).hexdigest()[:6]}"
    return full or "default"


def few(few_rows: T, usual: T, *, _root_: DictConfig) -> T:
    """Return what an option is with the option `few_rows`, or what it is without it."""
    return few_rows if OmegaConf.select(_root_, "few_rows", default=False) else usual


def heldout_per_age(*, _root_: DictConfig) -> int:
    """Return how many faces of each age `split=paper` holds out: as many as the dataset has enough of.

    The generated set of `dataset.size=small` has 80 to 90 faces of each age; the paper's 500 are those of section 3.3.
    """
    if OmegaConf.select(_root_, "dataset.size", default="paper") == "small":
        return 20
    return few(2, 500, _root_=_root_)


def adults(*, _root_: DictConfig) -> bool:
    """Tell whether `split.age_range` or `split.train_ages` goes beyond 18, the last age of the paper's data."""
    asked = [OmegaConf.select(_root_, f"split.{option}", default=None) for option in ("age_range", "train_ages")]
    return any(isinstance(age, int) and age > 18 for ages in asked if isinstance(ages, ListConfig) for age in ages)


def register_resolvers() -> None:
    """Make the functions of this module available to conf/, as in `${run_name:...}`."""
    OmegaConf.register_new_resolver("adults", adults, replace=True)
    OmegaConf.register_new_resolver("few", few, replace=True)
    OmegaConf.register_new_resolver("heldout_per_age", heldout_per_age, replace=True)
    OmegaConf.register_new_resolver("report_name", report_name, replace=True)
    OmegaConf.register_new_resolver("run_name", folder_name, replace=True)
    OmegaConf.register_new_resolver("job_name", job_name, replace=True)
    OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)


def _short(text: str) -> str:
    """`dataset.path=data/faces.npz,seed=1` -> `path=faces,seed=1`; keys that would be alike keep their group.

    So does `split.seed`, also alone: as `seed` it would be taken for the run's.
    """
    last = ["seed", *(key.rpartition(".")[2] for key in re.findall(r"(?:^|(?<=,))[^=,]+(?==)", text))]

    text = re.sub(r"tag\(log,interval\(([^()]*)\)\)", r"log(\1)", text)  # as one types it (see `with_log`)

    def without_group(key: re.Match[str]) -> str:
        return key[0] if last.count(key[2]) > 1 else key[2]

    text = re.sub(r"(?:^|(?<=,))([^=,]*\.)([^=,.]+)(?==)", without_group, text)
    text = re.sub(r"=[^,=]*/([^,/]*?)(?:\.\w+)?(?=,|$)", r"=\1", text)
    return re.sub(r"[^\w.,=+~-]", "", text, flags=re.ASCII)[:_LONGEST]

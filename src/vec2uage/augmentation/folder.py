"""Where augmented faces lie in a prepared set, and how training reads them.

`<set>/augmented/<name>/` holds `train.arrow` (the photographed training faces, then the augmented ones),
`children.csv` (what was done to which face), `images/` where they are kept, and, written last, `augmented.json`.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vec2uage.base.arguments import option
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import differences
from vec2uage.base.provenance import file_sha256
from vec2uage.data.prepared import DESCRIPTION, find_set
from vec2uage.data.readers import read
from vec2uage.data.vectorset import VectorSet

if TYPE_CHECKING:
    from vec2uage.augmentation.settings import ImageAugmentation

AUGMENTED = "augmented.json"
KEYS = {
    *("name", "set", "options", "train_per_age", "images", "operations", "photographed", "augmented"),
    *("dropped_by_rule", "missing", "mean_cosine", "sha256", "children_sha256", "recipe", "code"),
}
"""What augmented.json says at least; a file that lacks any is of another version, or damaged."""


def folder_of(prepared: Path, name: str) -> Path:
    """Return the folder that holds the augmented faces of one name."""
    return prepared / "augmented" / name


def read_augmented(folder: Path) -> dict[str, Any] | None:
    """Return what augmented.json says, None where there is nothing readable."""
    try:
        found = json.loads((folder / AUGMENTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= KEYS else None


def refuse_other_options(folder: Path, how: "ImageAugmentation") -> None:
    """Raise UserError where the faces in a folder were made with other options."""
    augmented = read_augmented(folder)
    if augmented is not None and (changed := _changed(augmented, how)):
        raise UserError(
            f"{folder} was made with other options ({changed}): choose another folder with augmentation.name=..., or "
            "replace it with overwrite=true"
        )


def _changed(augmented: dict[str, Any], how: "ImageAugmentation") -> str:
    """Say which options differ: what they were when the faces were made, and what they are now."""
    before, now = (_flat(options) for options in (augmented["options"], how.options()))
    return differences(before, now, "augmentation.")


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options by the keys that a user types, and under `op` the order of the operations."""
    flat = {"combine": options["combine"], "seed": options["seed"], "op": [op["name"] for op in options["op"]]}
    flat |= {f"keep.{name}": value for name, value in options["keep"].items()}
    return flat | {f"op.{op['name']}.{name}": value for op in options["op"] for name, value in op.items()}


def made_for(prepared: Path, how: "ImageAugmentation") -> dict[str, Any]:
    """Return what augmented.json says of the faces made with these options for a prepared set as it is now.

    Raises UserError where the folder is no prepared set, or there are no such faces.
    """
    found = find_set(prepared)
    if found is None:
        raise UserError(
            f"{prepared}: no {DESCRIPTION} in this folder: augmentation={how.name} needs dataset=prepared with "
            "dataset.path=<a folder of vec2uage.prepare>"
        )
    folder = folder_of(prepared, how.name)
    augmented = read_augmented(folder)
    if augmented is None:
        raise UserError(f"{folder}: no augmented faces here; make them with: {_again(prepared)}")
    if augmented["set"] != found.about["fingerprint"]:
        raise UserError(f"{folder}: made for the set as it was before it was prepared anew; run: {_again(prepared)}")
    if changed := _changed(augmented, how):
        raise UserError(
            f"{folder}: made with other options than these ({changed}): run vec2uage.augment with the same ones, "
            "under an augmentation.name of their own"
        )
    return augmented


def _again(prepared: Path) -> str:
    return f"python -m vec2uage.augment task=generate {option('path', prepared)} with these options of augmentation"


def find_children(prepared: Path, how: "ImageAugmentation") -> tuple[Path, str]:
    """Return the file that holds the faces made with these options, and what its SHA-256 has to be.

    Raises what `made_for` does, and UserError where the file is missing.
    """
    augmented = made_for(prepared, how)
    file = folder_of(prepared, how.name) / "train.arrow"
    if not file.is_file():
        raise UserError(f"{file}: missing; run: {_again(prepared)}")
    return file, str(augmented["sha256"])


def read_children(prepared: Path, how: "ImageAugmentation", train: VectorSet) -> VectorSet:
    """Return the augmented faces of the rows in `train`, in the order in which they fill their ages.

    A face has its parent's age as `train` gives it. Raises UserError where the folder is no prepared set, or holds no
    faces made with these options for the set as it is now.
    """
    file, sha256 = find_children(prepared, how)
    if file_sha256(file) != sha256:
        raise UserError(f"{file}: not the file that {AUGMENTED} describes; run: {_again(prepared)}")
    vs = read(file)
    row = {name: number for number, name in enumerate(train.names)}
    # a set may be made of the faces of another one: those are rows of `train` already
    new = [parent in row and name not in row for name, parent in zip(vs.names, vs.parents, strict=True)]
    children = vs.take(np.array(new, dtype=bool))
    ages = train.ages[np.array([row[parent] for parent in children.parents], dtype=np.int64)]
    return replace(children, ages=ages)

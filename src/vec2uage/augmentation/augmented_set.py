"""Where augmented faces lie in a prepared set: what they were made of, whether they are whole, and their vectors.

`<set>/augmented/<name>/` holds `train.arrow` (the photographed training faces, then the augmented ones),
`children.csv` (what was done to which face), `images/` where they are kept, and, written last, the manifest
`augmented.json`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.base.arguments import option
from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import Manifest, differences, find_manifest, is_current, refuse_unreadable
from vec2uage.base.provenance import file_sha256
from vec2uage.data.drawn import Drawn
from vec2uage.data.prepared import DESCRIPTION, find_set
from vec2uage.data.readers import read
from vec2uage.data.vectorset import VectorSet, needed_ages

AUGMENTED, VECTORS, TABLE = "augmented.json", "train.arrow", "children.csv"
_ABOUT = {"operations", "photographed", "augmented", "dropped_by_rule", "missing", "mean_cosine"}


def folder_of(prepared: Path, name: str) -> Path:
    """Return the folder that holds the augmented faces of one name."""
    return prepared / "augmented" / name


def find_augmented(folder: Path) -> Manifest | None:
    """Return the manifest of augmented faces, None where there are no complete ones."""
    found = find_manifest(folder / AUGMENTED)
    return found if found is not None and found.about.keys() >= _ABOUT else None


def made_of(prepared: Path, augmentation: ImageAugmentation) -> dict[str, dict[str, Any]]:
    """Return the inputs and options of augmented faces as they would be made now, as their manifest has them."""
    found = find_set(prepared)
    inputs = {"set": found.about["fingerprint"] if found else "", "recipe": augmentation.recipe.fingerprint}
    return {"inputs": inputs, "options": augmentation.options() | augmentation.amount()}


def is_complete(prepared: Path, augmentation: ImageAugmentation) -> bool:
    """Tell whether a set's augmented faces are what these options make of the set as it is now, pictures included."""
    folder = folder_of(prepared, augmentation.name)
    found = find_augmented(folder)
    if found is None or not is_current(found, folder, **made_of(prepared, augmentation)):
        return False
    return all(not row["image"] or (folder / row["image"]).is_file() for row in read_csv(folder / TABLE))


def refuse_other_options(folder: Path, augmentation: ImageAugmentation) -> None:
    """Raise UserError where the faces in a folder were made with other options, or nobody can tell with which."""
    refuse_unreadable(folder / AUGMENTED)
    found = find_augmented(folder)
    if found is not None and (changed := _changed(found, augmentation)):
        raise UserError(
            f"{folder} was made with other options ({changed}): choose another folder with augmentation.name=..., or "
            "replace it with overwrite=true"
        )


def find_for(prepared: Path, augmentation: ImageAugmentation) -> Manifest:
    """Return the manifest of the faces that were made with these options for a prepared set as it is now.

    Raises UserError where the folder is no prepared set, or there are no such faces.
    """
    of_set = find_set(prepared)
    if of_set is None:
        raise UserError(
            f"{prepared}: no {DESCRIPTION} in this folder: augmentation={augmentation.name} needs dataset=prepared "
            "with dataset.path=<a folder of vec2uage.prepare>"
        )
    folder = folder_of(prepared, augmentation.name)
    found = find_augmented(folder)
    if found is None:
        raise UserError(f"{folder}: no augmented faces here; make them with: {_again(prepared)}")
    if found.inputs.get("set") != of_set.about["fingerprint"]:
        raise UserError(f"{folder}: made for the set as it was before it was prepared anew; run: {_again(prepared)}")
    if changed := _changed(found, augmentation):
        raise UserError(
            f"{folder}: made with other options than these ({changed}): run vec2uage.augment with the same ones, "
            "under an augmentation.name of their own"
        )
    return found


def find_vectors(prepared: Path, augmentation: ImageAugmentation) -> tuple[Path, str]:
    """Return the file of the faces that were made with these options, and what its SHA-256 has to be.

    Raises what `find_for` does, and UserError where the file is missing.
    """
    found = find_for(prepared, augmentation)
    file = folder_of(prepared, augmentation.name) / VECTORS
    if not file.is_file():
        raise UserError(f"{file}: missing; run: {_again(prepared)}")
    return file, found.files.get(VECTORS, "")


def read_for(train: VectorSet, prepared: Path, augmentation: ImageAugmentation) -> VectorSet:
    """Return the augmented faces of the rows in `train`, in the order in which they fill their ages.

    A face has its source's age as `train` gives it. Raises what `find_vectors` does, and UserError where the file is
    not the one that was written.
    """
    file, sha256 = find_vectors(prepared, augmentation)
    if file_sha256(file) != sha256:
        raise UserError(f"{file}: not the file that {AUGMENTED} describes; run: {_again(prepared)}")
    vs = read(file)
    row = {name: number for number, name in enumerate(train.names)}
    # a set may be made of the faces of another one: those are rows of `train` already
    new = [source in row and name not in row for name, source in zip(vs.names, vs.parents, strict=True)]
    augmented = vs.take(np.array(new, dtype=bool))
    ages = needed_ages(train, "augmentation")[np.array([row[source] for source in augmented.parents], dtype=np.int64)]
    return replace(augmented, ages=ages)


def read_drawn(prepared: Path, augmentation: ImageAugmentation) -> dict[str, Drawn]:
    """Return how the faces that were made with these options are drawn of the crops of a set, by name.

    Raises what `find_for` does, and UserError where what draws them is of another version, or the table of them is not
    the one that was written or says too little.
    """
    found, file = find_for(prepared, augmentation), folder_of(prepared, augmentation.name) / TABLE
    again = f"{_again(prepared)} and overwrite=true"
    if found.inputs.get("recipe") != augmentation.recipe.fingerprint:
        raise UserError(
            f"{file.parent}: these faces were drawn by other versions of Augmentor, Pillow, NumPy or vec2uage, and so "
            f"cannot be drawn again as they were; run: {again}"
        )
    if not file.is_file() or file_sha256(file) != found.files.get(TABLE):
        raise UserError(f"{file}: missing, or not the file that {AUGMENTED} describes; run: {again}")
    rows = read_csv(file)
    if rows and "parent_face" not in rows[0]:
        raise UserError(f"{file}: written by an earlier version, which kept less of each face; run: {again}")
    recipe = augmentation.with_ops(set(found.about["operations"])).recipe
    drawn = {}
    for row in rows:
        face, number = row["parent_face"], int(row["number"])
        made_by = f"{recipe.fingerprint}/{face}/{number}"
        drawn[row["name"]] = Drawn(row["parent"], made_by, partial(recipe.draw, face=face, number=number))
    return drawn


def _changed(found: Manifest, augmentation: ImageAugmentation) -> str:
    """Say which options that decide on faces differ: what they were when the faces were made, and what they are now."""
    now = augmentation.options()
    before = {name: found.options.get(name) for name in now}
    return differences(_as_typed(before), _as_typed(now), "augmentation.")


def _as_typed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by the keys that a user types, and under `op` the order of the operations."""
    ops = options["op"] or []
    names = {"op": [op["name"] for op in ops]}
    return {**options, **names, **{f"op.{op['name']}": op for op in ops}}


def _again(prepared: Path) -> str:
    return f"python -m vec2uage.augment task=generate {option('path', prepared)} with these options of augmentation"

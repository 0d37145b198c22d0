"""The files of a set's augmented faces: vectors, what was done to which face, and what completes them."""

import csv
import io
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vec2uage.augmentation.augmenter import Child, Pictures, Studio, vectors_of
from vec2uage.augmentation.folder import AUGMENTED, read_augmented
from vec2uage.augmentation.generate import Generated
from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.base.arguments import option, shown
from vec2uage.base.atomic import remove_unfinished, write_json, write_text
from vec2uage.base.provenance import code_fingerprint, file_sha256, provenance
from vec2uage.data import storage
from vec2uage.data.figures import counts_per_age
from vec2uage.data.prepared import find_set
from vec2uage.data.vectorset import VectorSet, concatenate


def write_generated(
    generated: Generated,
    augmentation: ImageAugmentation,
    train: VectorSet,
    studio: Studio,
    folder: Path,
    prepared: Path,
    pictures: Pictures | None,
) -> None:
    """Write train.arrow and children.csv, remove pictures of other children, and write augmented.json."""
    (folder / AUGMENTED).unlink(missing_ok=True)
    for name in ("train.arrow", "children.csv", AUGMENTED):
        remove_unfinished(folder / name)
    children = to_vectors(generated, augmentation, train, studio)
    storage.save(concatenate([train, children]), folder / "train.arrow")
    write_text(folder / "children.csv", _children_csv(generated, children, studio, folder, pictures))
    kept = {studio.picture(child, pictures) for child in generated.children} if pictures else set()
    _keep_only(folder / "images", kept)
    write_json(
        folder / AUGMENTED,
        {
            "name": augmentation.name,
            "set": _fingerprint(prepared),
            "options": augmentation.options(),
            "train_per_age": augmentation.train_per_age,
            "images": f"jpeg, quality {pictures.quality}" if pictures else "none",
            "operations": {name: op.text() for name, op in generated.recipe.ops},
            "analysis": [asdict(row) for row in generated.analysis],
            "photographed": {str(age): n for age, n in counts_per_age(train.take(train.parents == "")).items()},
            "augmented": {str(age): n for age, n in counts_per_age(children).items()},
            "dropped_by_rule": {str(age): n for age, n in generated.dropped.items()},
            "missing": {str(age): n for age, n in generated.short.items()},
            "mean_cosine": float(generated.cosines.mean()) if len(generated.cosines) else None,
            "sha256": file_sha256(folder / "train.arrow"),
            "children_sha256": file_sha256(folder / "children.csv"),
            "recipe": augmentation.recipe.fingerprint,
            "code": code_fingerprint(),
            "provenance": provenance(),
        },
    )


def to_vectors(generated: Generated, augmentation: ImageAugmentation, train: VectorSet, studio: Studio) -> VectorSet:
    """Return the children as rows: their parent's age, person, source and gender, and `<parent>~<name>-<number>`."""
    row = {name: number for number, name in enumerate(train.names)}
    parents = train.take(np.array([row[child.parent.name] for child in generated.children], dtype=np.int64))
    names = [_name(child, augmentation.name) for child in generated.children]
    return VectorSet(
        vectors=vectors_of(generated.children, studio),
        ages=parents.ages,
        names=np.array(names, dtype=object),
        subjects=parents.subjects,
        source=parents.source,
        gender=parents.gender,
        parents=parents.names,
        encoder=train.encoder,
    )


def is_complete(folder: Path, prepared: Path, augmentation: ImageAugmentation) -> bool:
    """Tell whether a folder holds what these options make of the set as it is now."""
    found = read_augmented(folder)
    if found is None:
        return False
    wanted = {
        "set": _fingerprint(prepared),
        "options": augmentation.options(),
        "train_per_age": augmentation.train_per_age,
        "images": f"jpeg, quality {augmentation.jpeg_quality}" if augmentation.images == "jpeg" else "none",
        "recipe": augmentation.recipe.fingerprint,
        "code": code_fingerprint(),
    }
    if any(found.get(key) != value for key, value in wanted.items()):
        return False
    files = {"train.arrow": found["sha256"], "children.csv": found["children_sha256"]}
    whole = all((folder / name).is_file() and file_sha256(folder / name) == sha256 for name, sha256 in files.items())
    return whole and _has_pictures(folder)


def summary(folder: Path, prepared: Path, chosen: Sequence[str]) -> tuple[str, dict[str, int]]:
    """Say in a few lines what a folder holds and how to go on; return also how many faces each age still lacks.

    `chosen` are the options of `augmentation` as they were set, which training needs, too.
    """
    found = read_augmented(folder) or {}
    photographed, augmented = sum(found["photographed"].values()), sum(found["augmented"].values())
    dropped, missing = sum(found["dropped_by_rule"].values()), found["missing"]
    operations = ", ".join(found["operations"])
    options = " ".join(["dataset=prepared", option("dataset.path", shown(prepared)), *map(shlex.quote, chosen)])
    lines = [
        f"augmented {augmented:,} faces beside {photographed:,} photographed ones, by {operations}",
        f"cosine   {found['mean_cosine']:.3f} on average to the face before" if augmented else "",
        f"dropped  {dropped:,} faces by the keep rule" if dropped else "",
        f"missing  {sum(missing.values()):,} faces (ages {', '.join(missing)}): the keep rule drops too many; raise "
        "augmentation.keep.retries or widen the rule"
        if missing
        else "",
        f"folder   {shown(folder)}",
        f"train    python -m vec2uage.train {options}",
    ]
    return "\n".join(line for line in lines if line), missing


def _name(child: Child, augmentation: str) -> str:
    return f"{child.parent.name}~{augmentation}-{child.number + 1}"


def _children_csv(
    generated: Generated, children: VectorSet, studio: Studio, folder: Path, pictures: Pictures | None
) -> str:
    """Return a line per child: its parent, the operations that happened with their options, the seed, the cosine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "parent", "parent_sha256", "age", "operations", "seed", "number", "cosine", "image"])
    described = {name: f"{name}({op.text()})" for name, op in generated.recipe.ops}
    for name, age, child, similarity in zip(
        children.names, children.ages.tolist(), generated.children, generated.cosines.tolist(), strict=True
    ):
        happened = generated.recipe.happening(studio.identity(child.parent), child.number)
        image = studio.picture(child, pictures).relative_to(folder).as_posix() if pictures else ""
        operations = " ".join(described[operation] for operation in happened)
        parent, seed = child.parent, generated.recipe.seed
        row = [name, parent.name, parent.sha256, f"{age:g}", operations, seed, child.number, f"{similarity:.6f}", image]
        writer.writerow(row)
    return text.getvalue()


def _keep_only(folder: Path, wanted: set[Path]) -> None:
    """Remove pictures that the rule dropped, or that are of earlier options."""
    for path in list(folder.glob("*/*.jpg")):
        if path not in wanted:
            path.unlink()
    for inside in [*folder.glob("*"), folder]:
        if inside.is_dir() and not any(inside.iterdir()):
            inside.rmdir()


def _has_pictures(folder: Path) -> bool:
    with (folder / "children.csv").open(newline="", encoding="utf-8") as stream:
        return all(not row["image"] or (folder / row["image"]).is_file() for row in csv.DictReader(stream))


def _fingerprint(prepared: Path) -> Any:
    found = find_set(prepared)
    return None if found is None else found.about["fingerprint"]

"""Writes the augmented faces of a prepared set: vectors, what was done to which face, and what completes them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from vec2uage.augmentation.augmented_set import AUGMENTED, TABLE, VECTORS, folder_of, made_of
from vec2uage.augmentation.augmenter import FaceAugmenter
from vec2uage.augmentation.drawing import AugmentedFace, identity
from vec2uage.augmentation.generate import Generated, TrainingPart, pictures_of
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.base.atomic import remove_unfinished
from vec2uage.base.csv_file import write_csv
from vec2uage.base.manifest import describe, write_manifest
from vec2uage.data import storage
from vec2uage.data.figures import counts_per_age
from vec2uage.data.vectorset import VectorSet, concatenate, needed_ages

COLUMNS = ("name", "parent", "parent_sha256", "parent_face", "age", "operations", "seed", "number", "cosine", "image")


def write_set(
    generated: Generated, augmentation: ImageAugmentation, part: TrainingPart, augmenter: FaceAugmenter
) -> None:
    """Write train.arrow and children.csv, remove pictures of other faces, and write augmented.json."""
    folder, pictures = folder_of(part.prepared, augmentation.name), pictures_of(augmentation, part.prepared)
    (folder / AUGMENTED).unlink(missing_ok=True)
    for name in (VECTORS, TABLE, AUGMENTED):
        remove_unfinished(folder / name)
    files = [augmenter.picture_file(face, pictures) for face in generated.faces] if pictures else []
    augmented = to_vectors(generated.faces, augmentation, part.rows, augmenter)
    storage.save(concatenate([part.rows, augmented]), folder / VECTORS)
    images = [file.relative_to(folder).as_posix() for file in files] or [""] * len(augmented)
    write_csv(folder / TABLE, COLUMNS, _table(generated, augmented, images, augmenter))
    _keep_only(folder / "images", set(files))
    about = {
        "name": augmentation.name,
        "operations": {name: op.text() for name, op in generated.recipe.ops},
        "analysis": [asdict(row) for row in generated.analysis],
        "photographed": _per_age(part.rows.take(part.rows.parents == "")),
        "augmented": _per_age(augmented),
        "dropped_by_rule": {str(age): n for age, n in generated.dropped.items()},
        "missing": {str(age): n for age, n in generated.short.items()},
        "mean_cosine": float(generated.cosines.mean()) if len(generated.cosines) else None,
    }
    made = describe(folder, (VECTORS, TABLE), about=about, **made_of(part.prepared, augmentation))
    write_manifest(folder / AUGMENTED, made)


def to_vectors(
    faces: list[AugmentedFace], augmentation: ImageAugmentation, train: VectorSet, augmenter: FaceAugmenter
) -> VectorSet:
    """Return faces as rows: their source's age, person, source and gender, and `<its name>~<augmentation>-<number>`."""
    row = {name: number for number, name in enumerate(train.names)}
    sources = train.take(np.array([row[face.source.name] for face in faces], dtype=np.int64))
    names = [f"{face.source.name}~{augmentation.name}-{face.number + 1}" for face in faces]
    return VectorSet(
        vectors=augmenter.vectors_of(faces),
        ages=sources.ages,
        names=np.array(names, dtype=object),
        subjects=sources.subjects,
        source=sources.source,
        gender=sources.gender,
        parents=sources.names,
        encoder=train.encoder,
    )


def _per_age(vs: VectorSet) -> dict[str, int]:
    return {str(age): n for age, n in counts_per_age(vs).items()}


def _table(
    generated: Generated, augmented: VectorSet, images: list[str], augmenter: FaceAugmenter
) -> Iterator[Sequence[object]]:
    """Yield a row per face: its source, the operations that happened with their options, the seed, the cosine.

    With a crop, `parent_face`, seed and number say all that it takes to draw it again (see `Recipe.draw`).
    """
    described = {name: f"{name}({op.text()})" for name, op in generated.recipe.ops}
    ages = needed_ages(augmented, "augmentation").tolist()
    columns = (augmented.names, ages, generated.faces, generated.cosines.tolist(), images)
    for name, age, face, cosine, image in zip(*columns, strict=True):
        operations = " ".join(described[operation] for operation in augmenter.drawn_ops(face))
        source, seed = face.source, generated.recipe.seed
        of = source.name, source.sha256, identity(source, augmenter.extraction)
        yield name, *of, f"{age:g}", operations, seed, face.number, f"{cosine:.6f}", image


def _keep_only(folder: Path, wanted: set[Path]) -> None:
    """Remove pictures that the rule dropped, or that are of earlier options."""
    for path in list(folder.glob("*/*.jpg")):
        if path not in wanted:
            path.unlink()
    for inside in [*folder.glob("*"), folder]:
        if inside.is_dir() and not any(inside.iterdir()):
            inside.rmdir()

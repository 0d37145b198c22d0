"""Fills every age of a prepared set's training part with augmented faces, offline (paper section 3.2).

The source faces of an age take turns. What the keep rule drops is drawn anew, from the next source, until the age is
full or the retries are used up. Everything depends on the source faces and the recipe alone, so the files are the same,
byte for byte, whatever the number of processes and however often the work was interrupted.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from vec2uage.augmentation.analysis import CosineSummary, analyse, kept_ops, summarise
from vec2uage.augmentation.augmented_set import folder_of
from vec2uage.augmentation.augmenter import FaceAugmenter, Pictures
from vec2uage.augmentation.disk_space import check_disk_space
from vec2uage.augmentation.drawing import AugmentedFace
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.recipe import Recipe
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted, span
from vec2uage.data.balance import in_turn
from vec2uage.data.similarity import cosine_of_pairs
from vec2uage.data.vectorset import VectorSet, needed_ages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPart:
    """The training part of a prepared set, to be filled."""

    prepared: Path
    """The folder of the set."""
    rows: VectorSet
    sources: Mapping[str, SourceFace]
    """The photographs of rows, by the row's name; rows read from files of vectors have none."""


@dataclass
class AgeFilling:
    """One whole age: which source faces take turns, how many faces it lacks, and what was made so far."""

    age: int
    turns: Iterator[tuple[SourceFace, int]]
    missing: int
    left: int
    """Faces that may still be drawn."""
    sources: int
    """Faces that take turns."""
    faces: list[AugmentedFace] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    dropped: int = 0


@dataclass(frozen=True)
class Generated:
    """The augmented faces of a set, in the order in which they fill their ages, and what the rule made of the rest."""

    recipe: Recipe
    faces: list[AugmentedFace]
    cosines: Float64[np.ndarray, " N"]
    """Of each face's embedding with that of its source."""
    analysis: list[CosineSummary]
    """What the operations were chosen by, at level `op`."""
    dropped: dict[int, int]
    """Faces that the rule dropped, by age."""
    short: dict[int, int]
    """Faces that are still missing, by age."""


def pictures_of(augmentation: ImageAugmentation, prepared: Path) -> Pictures | None:
    """Return where a set keeps the pictures of its augmented faces, None where they are not kept."""
    if augmentation.images == "none":
        return None
    return Pictures(folder_of(prepared, augmentation.name) / "images", augmentation.jpeg_quality)


def generate(augmentation: ImageAugmentation, part: TrainingPart, augmenter: FaceAugmenter) -> Generated:
    """Make as many augmented faces as every age of a training part lacks.

    Raises UserError where an age has no photograph to augment, all operations are dropped, or the disk is too small,
    and Interrupted.
    """
    fillings = _fillings(augmentation, part)
    log.info("%s", _announced(fillings, part, augmentation))
    recipe, analysis = _kept_recipe(augmentation, part, augmenter) if fillings else (augmentation.recipe, [])
    pictures, output = pictures_of(augmentation, part.prepared), folder_of(part.prepared, augmentation.name)
    row = {name: number for number, name in enumerate(part.rows.names)}
    by_sample = augmentation.keep.level == "sample" and augmentation.keep.rule != "all"
    while any(filling.missing and filling.left for filling in fillings):
        drawn = [
            (filling, AugmentedFace(source, recipe, number))
            for filling in fillings
            for source, number in islice(filling.turns, min(filling.missing, filling.left))
        ]
        faces = [face for _, face in drawn]
        check_disk_space(faces, len(part.rows) + len(faces), augmenter, output, pictures)
        # what may be dropped gets its picture when it is known to be kept
        vectors = augmenter.vectors_of(faces, None if by_sample else pictures)
        before = np.array([row[face.source.name] for face in faces], dtype=np.int64)
        cosines = cosine_of_pairs(part.rows.vectors, vectors, before, np.arange(len(faces)))
        kept = augmentation.keep.keeps(cosines) if by_sample else np.ones(len(faces), dtype=bool)
        for (filling, face), cosine, is_kept in zip(drawn, cosines.tolist(), kept.tolist(), strict=True):
            filling.left -= 1
            if not is_kept:
                filling.dropped += 1
                continue
            filling.missing -= 1
            filling.faces.append(face)
            filling.cosines.append(cosine)
    kept_faces = [face for filling in fillings for face in filling.faces]
    if by_sample and pictures is not None:
        augmenter.vectors_of(kept_faces, pictures)
    return Generated(
        recipe=recipe,
        faces=kept_faces,
        cosines=np.array([cosine for filling in fillings for cosine in filling.cosines]),
        analysis=analysis,
        dropped={filling.age: filling.dropped for filling in fillings if filling.dropped},
        short={filling.age: filling.missing for filling in fillings if filling.missing},
    )


def _kept_recipe(
    augmentation: ImageAugmentation, part: TrainingPart, augmenter: FaceAugmenter
) -> tuple[Recipe, list[CosineSummary]]:
    """Return the recipe without the operations that the rule drops as a whole, and what that was decided by."""
    keep_rule = augmentation.keep
    if keep_rule.level != "op" or keep_rule.rule == "all":
        return augmentation.recipe, []
    sources = [part.sources[name] for name in part.rows.names.tolist() if name in part.sources]
    rows = summarise(analyse(augmentation, sources, keep_rule.draws, augmenter, whole_recipe=False), keep_rule, [])
    kept = kept_ops(augmentation.op, rows) & {name for name, op in augmentation.op if op.probability}
    means = ", ".join(f"{row.operation} {row.mean:.3f}" for row in rows if row.operation in dict(augmentation.op))
    if not kept:
        raise UserError(f"augmentation.keep drops every operation ({keep_rule.text()}; mean cosines: {means})")
    names, dropped = ([name for name, _ in augmentation.op if (name in kept) == wanted] for wanted in (True, False))
    log.info("kept by their mean cosine (%s): %s", keep_rule.text(), ", ".join(names))
    log.info("dropped: %s (mean cosines: %s)", ", ".join(dropped) or "none", means)
    return augmentation.with_ops(kept).recipe, rows


def _fillings(augmentation: ImageAugmentation, part: TrainingPart) -> list[AgeFilling]:
    """Return every age that has too few faces, youngest first."""
    floors = np.floor(needed_ages(part.rows, "augmentation")).astype(np.int64)
    fillings = []
    for age in np.unique(floors).tolist():
        rows = in_turn(floors, age, augmentation.seed)
        if (missing := augmentation.train_per_age - len(rows)) <= 0:
            continue
        sources = [part.sources[name] for name in part.rows.names[rows].tolist() if name in part.sources]
        if not sources:
            raise UserError(
                f"age {age}: none of its {len(rows):,} training faces has a photograph to augment, as they were read "
                "from files of vectors: take augmentation=balance when training"
            )
        most = missing * (1 + augmentation.keep.retries)
        fillings.append(AgeFilling(age, _turns(sources), missing, most, len(sources)))
    return fillings


def _announced(fillings: Sequence[AgeFilling], part: TrainingPart, augmentation: ImageAugmentation) -> str:
    """Say how many faces are to be made, of which ages and from how many, and where they are put."""
    up_to = f"{counted(augmentation.train_per_age, 'face')} of each age (augmentation.train_per_age)"
    if not fillings:
        return f"no face to make: the training part has {up_to}"
    missing, ages = [filling.missing for filling in fillings], [filling.age for filling in fillings]
    each = f"of age {ages[0]}" if len(ages) == 1 else f"{span(missing)} of each of {len(ages)} ages, {span(ages)}"
    return (
        f"{counted(sum(missing), 'face')} to make from {counted(sum(filling.sources for filling in fillings), 'face')} "
        f"of photographs: {each}, for {up_to}, into {folder_of(part.prepared, augmentation.name)}"
    )


def _turns(sources: Sequence[SourceFace]) -> Iterator[tuple[SourceFace, int]]:
    """Yield every source face with number 0, then every one with number 1, and so on."""
    for number in count():
        for source in sources:
            yield source, number

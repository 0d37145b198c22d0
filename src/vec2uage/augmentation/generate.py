"""Fills every age of a prepared set's training part with augmented faces, offline (paper section 3.2).

The parents of an age take turns. What the keep rule drops is drawn anew, from the next parent, until the age is full
or the retries are used up. Everything depends on the parents and the recipe alone, so the files are the same, byte for
byte, whatever the number of processes and however often the work was interrupted.
"""

import io
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from vec2uage.augmentation.analysis import Similarity, analyse, kept_ops, summarise
from vec2uage.augmentation.augmenter import Child, Parent, Pictures, Studio, is_missing, vectors_of
from vec2uage.augmentation.recipe import Recipe
from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted, size
from vec2uage.data.balance import in_turn
from vec2uage.data.similarity import cosine_of
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.crop import crop
from vec2uage.faces.image import decode

log = logging.getLogger(__name__)

_SPARE = 1.2  # what is needed on disk is estimated, so a little more has to be free


@dataclass
class Filling:
    """One whole age: who takes turns, how many faces it lacks, and what was made so far."""

    age: int
    turns: Iterator[tuple[Parent, int]]
    missing: int
    left: int
    """Faces that may still be drawn."""
    children: list[Child] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    dropped: int = 0


@dataclass(frozen=True)
class Generated:
    """The augmented faces of a set, in the order in which they fill their ages, and what the rule made of the rest."""

    recipe: Recipe
    children: list[Child]
    cosines: Float64[np.ndarray, " N"]
    analysis: list[Similarity]
    """What the operations were chosen by, at level `op`."""
    dropped: dict[int, int]
    """Faces that the rule dropped, by age."""
    short: dict[int, int]
    """Faces that are still missing, by age."""


def generate(
    augmentation: ImageAugmentation,
    train: VectorSet,
    parents: Mapping[str, Parent],
    studio: Studio,
    output: Path,
    pictures: Pictures | None,
) -> Generated:
    """Make as many augmented faces as every age of `train` lacks; `parents` gives the photographs by the row's name.

    `output` is the folder that their vectors will be written to. Raises UserError where an age has no photograph to
    augment, all operations are dropped, or the disk is too small, and Interrupted.
    """
    fillings = _fillings(augmentation, train, parents)
    recipe, analysis = _chosen(augmentation, train, parents, studio) if fillings else (augmentation.recipe, [])
    row = {name: number for number, name in enumerate(train.names)}
    by_sample = augmentation.keep.level == "sample" and augmentation.keep.rule != "all"
    while any(filling.missing and filling.left for filling in fillings):
        drawn = [
            (filling, Child(parent, recipe, number))
            for filling in fillings
            for parent, number in islice(filling.turns, min(filling.missing, filling.left))
        ]
        children = [child for _, child in drawn]
        check_disk(children, len(train) + len(drawn), studio, output, pictures)
        # what may be dropped gets its picture when it is known to be kept
        vectors = vectors_of(children, studio, None if by_sample else pictures)
        before = np.array([row[child.parent.name] for child in children], dtype=np.int64)
        cosines = cosine_of(train.vectors, vectors, before, np.arange(len(children)))
        good = augmentation.keep.kept(cosines) if by_sample else np.ones(len(drawn), dtype=bool)
        for (filling, child), similarity, kept in zip(drawn, cosines.tolist(), good.tolist(), strict=True):
            filling.left -= 1
            if not kept:
                filling.dropped += 1
                continue
            filling.missing -= 1
            filling.children.append(child)
            filling.cosines.append(similarity)
    kept_children = [child for filling in fillings for child in filling.children]
    if by_sample and pictures is not None:
        vectors_of(kept_children, studio, pictures)
    return Generated(
        recipe=recipe,
        children=kept_children,
        cosines=np.array([value for filling in fillings for value in filling.cosines]),
        analysis=analysis,
        dropped={filling.age: filling.dropped for filling in fillings if filling.dropped},
        short={filling.age: filling.missing for filling in fillings if filling.missing},
    )


def check_disk(children: Sequence[Child], rows: int, studio: Studio, output: Path, pictures: Pictures | None) -> None:
    """Estimate what children that are still to be made, and a file of all rows, take; UserError if it is too much.

    A picture is taken to be as large as that of a face before it is augmented, at the same quality.
    """
    children = [child for child in children if is_missing(child, studio, pictures)]
    vector = 4 * studio.how.embedder.dimension
    needs: Counter[Path] = Counter()
    if pictures is not None and children:
        bytes_each = _picture_bytes([child.parent for child in children], studio, pictures.quality)
        needs[_existing(pictures.folder)] += len(children) * bytes_each
    needs[_existing(studio.store_path)] += len(children) * _stored_bytes(vector)
    needs[_existing(output)] += rows * (vector + 300)
    log.info("%s to make, which takes about %s of disk", counted(len(children), "face"), size(sum(needs.values())))
    devices: Counter[int] = Counter()
    for folder, needed in needs.items():
        devices[folder.stat().st_dev] += needed
    for folder in needs:
        need, free = devices[folder.stat().st_dev] * _SPARE, shutil.disk_usage(folder).free
        if need > free:
            raise UserError(
                f"{folder}: {counted(len(children), 'augmented face')} would take about {size(need)} there and "
                f"{size(free)} are free: make room, lower augmentation.train_per_age, or set "
                "augmentation.images=none"
            )


def _stored_bytes(vector: int) -> int:
    """Return what a vector takes in the store: its row and the index; SQLite fills pages of 4,096 bytes."""
    row = vector + 200
    return 300 + (row if row < 2048 else -(-row // 4096) * 4096)


def _existing(path: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def _picture_bytes(parents: Sequence[Parent], studio: Studio, quality: int, sample: int = 16) -> int:
    from PIL import Image

    sizes = []
    for parent in parents[:: max(1, len(parents) // sample)][:sample]:
        face = crop(decode(parent.path.read_bytes(), studio.how.max_pixels), parent.face, studio.how.crop)
        with io.BytesIO() as file:
            Image.fromarray(face).save(file, "JPEG", quality=quality)
            sizes.append(file.tell())
    return int(np.mean(sizes))


def _chosen(
    augmentation: ImageAugmentation, train: VectorSet, parents: Mapping[str, Parent], studio: Studio
) -> tuple[Recipe, list[Similarity]]:
    """Return the recipe without the operations that the rule drops as a whole, and what that was decided by."""
    keep = augmentation.keep
    if keep.level != "op" or keep.rule == "all":
        return augmentation.recipe, []
    of_train = [parents[name] for name in train.names.tolist() if name in parents]
    rows = summarise(analyse(augmentation, of_train, keep.draws, studio, together=False), keep, [])
    kept = kept_ops(augmentation.op, rows) & {name for name, op in augmentation.op if op.probability}
    told = ", ".join(f"{row.operation} {row.mean:.3f}" for row in rows if row.operation in dict(augmentation.op))
    if not kept:
        raise UserError(f"augmentation.keep drops every operation ({keep.text()}; mean cosines: {told})")
    dropped = [name for name, _ in augmentation.op if name not in kept]
    log.info("kept by their mean cosine (%s): %s", keep.text(), ", ".join(n for n, _ in augmentation.op if n in kept))
    log.info("dropped: %s (mean cosines: %s)", ", ".join(dropped) or "none", told)
    return augmentation.with_ops(kept).recipe, rows


def _fillings(augmentation: ImageAugmentation, train: VectorSet, parents: Mapping[str, Parent]) -> list[Filling]:
    """Return every age that has too few faces, youngest first."""
    floors = np.floor(train.ages).astype(np.int64)
    fillings = []
    for age in np.unique(floors).tolist():
        rows = in_turn(floors, age, augmentation.seed)
        if (missing := augmentation.train_per_age - len(rows)) <= 0:
            continue
        of_age = [parents[name] for name in train.names[rows].tolist() if name in parents]
        if not of_age:
            raise UserError(
                f"age {age}: none of its {len(rows):,} training faces has a photograph to augment, as they were read "
                "from files of vectors: take augmentation=balance when training"
            )
        fillings.append(Filling(age, _turns(of_age), missing, missing * (1 + augmentation.keep.retries)))
    return fillings


def _turns(parents: Sequence[Parent]) -> Iterator[tuple[Parent, int]]:
    """Yield every parent with number 0, then every one with number 1, and so on."""
    for number in count():
        for parent in parents:
            yield parent, number

"""Augmented faces and their vectors: drawn by worker processes, embedded here, kept in the store by what made them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np
from jaxtyping import Float32

from vec2uage.augmentation.recipe import Recipe
from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.base.progress import Progress
from vec2uage.faces import pool, worker
from vec2uage.faces.crop import crop
from vec2uage.faces.embedders.base import Embed
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.image import decode
from vec2uage.faces.pool import Interrupted, processes
from vec2uage.faces.records import Face, Refused
from vec2uage.faces.store import Store, open_store

_TOGETHER = 8  # children of one parent that are drawn in one task: the photograph is decoded once for them


@dataclass(frozen=True, eq=False)
class Parent:
    """A photographed face: where it is, and its vector."""

    name: str
    age: float
    """Years; NaN where unknown."""
    path: Path
    sha256: str
    """Of the photograph's content."""
    face: Face
    vector: Float32[np.ndarray, " D"]


@dataclass(frozen=True, eq=False)
class Child:
    """An augmented face that is wanted: the `number`-th that a recipe makes of a parent."""

    parent: Parent
    recipe: Recipe
    number: int


@dataclass(frozen=True)
class Pictures:
    """Where augmented faces are kept as JPEG files, and how good they are."""

    folder: Path
    quality: int


@dataclass(frozen=True)
class Studio:
    """What it takes to make augmented faces and their vectors."""

    how: Extraction
    """How the parents' faces were cut out and embedded."""
    store: Store
    store_path: Path
    workers: int
    device: str
    stop: Event

    @cached_property
    def embed(self) -> Embed:
        """The network, loaded when a vector is missing."""
        return self.how.embedder.open(self.device)

    @cached_property
    def encoder(self) -> str:
        """The name of the network, as the store and VectorSet have it."""
        return self.how.embedder.fingerprint()

    def identity(self, parent: Parent) -> str:
        """Name a cut-out face; what its augmentation depends on besides the recipe and a number."""
        return f"{parent.sha256}/{self.how.face_key(parent.face)}"

    def key(self, child: Child) -> str:
        """Name in the store what decides the vector of a child, but for its photograph and the network."""
        return f"{self.how.face_key(child.parent.face)}/{child.recipe.fingerprint}/{child.number}"

    def vector(self, child: Child) -> Float32[np.ndarray, " D"] | None:
        """Return the vector of a child, None where it has not been made."""
        return self.store.vector(child.parent.sha256, self.key(child), self.encoder)

    def picture(self, child: Child, pictures: Pictures) -> Path:
        """Return where a child's picture is kept; another crop, recipe or quality has another name."""
        made = hashlib.sha256(f"{self.key(child)}/{pictures.quality}".encode()).hexdigest()[:8]
        age = "unknown" if np.isnan(child.parent.age) else f"{int(child.parent.age):02d}"
        return pictures.folder / age / f"{child.parent.sha256[:32]}_{made}_{child.number}.jpg"


@contextmanager
def open_studio(
    how: Extraction, store: str, workers: int | Literal["auto"], device: str, stop: Event
) -> Iterator[Studio]:
    """Open the store and keep at hand what it takes to make augmented faces."""
    path = Path(store)
    with open_store(path) as opened:
        yield Studio(how, opened, path, processes(workers), device, stop)


@dataclass(frozen=True)
class _Task:
    """Children of one parent and one recipe: their numbers, and the files that their pictures go to, if any."""

    recipe: Recipe
    path: Path
    sha256: str
    face: Face
    identity: str
    numbers: tuple[int, ...]
    files: tuple[Path, ...]
    quality: int


def vectors_of(
    children: Sequence[Child], studio: Studio, pictures: Pictures | None = None
) -> Float32[np.ndarray, "N D"]:
    """Return the vectors of all children, in order; those that the store lacks are made, and their pictures with them.

    The result does not depend on the number of processes, nor on how often this was interrupted before. Raises
    Interrupted when `stop` is set before the work is done, and UserError where a photograph has changed or an
    operation fails.
    """
    missing = [child for child in children if is_missing(child, studio, pictures)]
    if missing:
        _make(missing, studio, pictures)
    vectors = np.empty((len(children), studio.how.embedder.dimension), dtype=np.float32)
    for row, child in enumerate(children):
        vector = studio.vector(child)
        assert vector is not None, f"{child.parent.name}: not in the store after it was made"
        vectors[row] = vector
    return vectors


def is_missing(child: Child, studio: Studio, pictures: Pictures | None) -> bool:
    """Tell whether a child has to be drawn: its vector is not in the store, or its picture is wanted and not there."""
    if pictures is not None and not studio.picture(child, pictures).is_file():
        return True
    return studio.vector(child) is None


def _make(missing: Sequence[Child], studio: Studio, pictures: Pictures | None) -> None:
    """Draw and embed children; each vector goes to the store as soon as it is made."""
    tasks, of_task = _tasks(missing, studio, pictures)
    # where only the picture is missing, the vector stays the one that others may have read
    embedded = {id(child) for child in missing if pictures is not None and studio.vector(child) is not None}
    batch: list[tuple[Child, np.ndarray]] = []

    def flush(least: int) -> None:
        size = studio.how.embedder.batch_size
        while len(batch) >= least and batch:
            part = batch[:size]
            del batch[:size]
            for (child, _), vector in zip(part, studio.embed(np.stack([drawn for _, drawn in part])), strict=True):
                studio.store.put_vector(child.parent.sha256, studio.key(child), studio.encoder, vector)

    size = studio.how.embedder.batch_size
    ahead = 2 * (size // _TOGETHER) + studio.workers
    drawn = pool.run(draw, tasks, studio.workers, start, (studio.how,), ahead, studio.stop)
    with Progress(len(missing), "face", "augmented faces", spoken=True) as progress:
        for (task,), prepared in drawn:
            wanted = of_task[task.identity, task.recipe.fingerprint, task.numbers]
            if prepared is None:
                raise UserError(f"{task.path}: the process that augmented it was killed (out of memory?)")
            batch += [pair for pair in zip(wanted, prepared, strict=True) if id(pair[0]) not in embedded]
            flush(size)
            progress.advance(len(wanted))
        flush(1)
    if studio.stop.is_set():
        raise Interrupted


def _tasks(
    missing: Sequence[Child], studio: Studio, pictures: Pictures | None
) -> tuple[list[tuple[_Task]], dict[tuple[str, str, tuple[int, ...]], list[Child]]]:
    """Cut the work into tasks; return the children of each, too."""
    groups: dict[tuple[str, str], list[Child]] = defaultdict(list)
    for child in missing:
        groups[studio.identity(child.parent), child.recipe.fingerprint].append(child)
    tasks, of_task = [], {}
    for (identity, recipe), group in groups.items():
        for first in range(0, len(group), _TOGETHER):
            some = group[first : first + _TOGETHER]
            numbers = tuple(child.number for child in some)
            parent = some[0].parent
            files = tuple(studio.picture(child, pictures) for child in some) if pictures else ()
            task = _Task(
                recipe=some[0].recipe,
                path=parent.path,
                sha256=parent.sha256,
                face=parent.face,
                identity=identity,
                numbers=numbers,
                files=files,
                quality=pictures.quality if pictures else 0,
            )
            tasks.append((task,))
            of_task[identity, recipe, numbers] = some
    return tasks, of_task


_how: Extraction | None = None


def start(how: Extraction) -> None:
    """Prepare a worker process."""
    global _how
    worker.start(how)
    _how = how


def draw(task: _Task) -> list[np.ndarray]:
    """Draw the children of one parent in a worker process: return the embedder's inputs, and keep their pictures."""
    from PIL import Image

    assert _how is not None, "start() comes first"
    try:
        content = task.path.read_bytes()
    except OSError as error:
        raise UserError(f"{task.path}: cannot be opened: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != task.sha256:
        raise UserError(f"{task.path}: changed since it was looked into: run the command again")
    face = crop(decode(content, _how.max_pixels), task.face, _how.crop)
    prepared = []
    for position, number in enumerate(task.numbers):
        drawn = task.recipe.draw(face, task.identity, number)
        try:
            prepared.append(_how.embedder.prepare(drawn))
        except Refused as refused:
            names = ", ".join(task.recipe.happening(task.identity, number))
            raise UserError(f"{task.path} cannot be embedded after {names}: {refused.reason}: change them") from None
        if task.files:
            with replacing(task.files[position]) as temporary:
                Image.fromarray(drawn).save(temporary, quality=task.quality)
    return prepared

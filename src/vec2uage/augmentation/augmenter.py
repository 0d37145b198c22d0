"""Augmented faces and their vectors: drawn by worker processes, embedded here, kept in the store by what made them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vec2uage.augmentation.drawing import AugmentedFace, DrawTask, draw, identity, start
from vec2uage.augmentation.execution import Execution
from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import Interrupted
from vec2uage.base.progress import Progress
from vec2uage.faces import pool
from vec2uage.faces.embedders.base import Embed
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.store import Store, open_store

_FACES_PER_TASK = 8  # of one source face, whose photograph is decoded once for them


@dataclass(frozen=True)
class Pictures:
    """Where augmented faces are kept as JPEG files, and how good they are."""

    folder: Path
    quality: int


@dataclass(frozen=True)
class FaceAugmenter:
    """Makes augmented faces and their vectors; what it has made once it finds in the store."""

    extraction: Extraction
    """How the source faces were cut out and embedded."""
    execution: Execution
    store: Store

    @cached_property
    def embed(self) -> Embed:
        """The network, loaded when a vector is missing."""
        return self.extraction.embedder.open(self.execution.device)

    def vectors_of(
        self, faces: Sequence[AugmentedFace], pictures: Pictures | None = None
    ) -> Float32[np.ndarray, "N D"]:
        """Return the vectors of faces, in order; those that the store lacks are made, and their pictures with them.

        The result does not depend on the number of processes, nor on how often this was interrupted before. Raises
        Interrupted when `execution.stop` is set before the work is done, and UserError where a photograph has changed
        or an operation fails.
        """
        missing = [face for face in faces if self.is_missing(face, pictures)]
        if missing:
            self._make(missing, pictures)
        vectors = np.empty((len(faces), self.extraction.embedder.dimension), dtype=np.float32)
        for row, face in enumerate(faces):
            vector = self.stored(face)
            assert vector is not None, f"{face.source.name}: not in the store after it was made"
            vectors[row] = vector
        return vectors

    def is_missing(self, face: AugmentedFace, pictures: Pictures | None) -> bool:
        """Tell whether a face has to be drawn: its vector is not in the store, or its picture is wanted, not there."""
        if pictures is not None and not self.picture_file(face, pictures).is_file():
            return True
        return self.stored(face) is None

    def stored(self, face: AugmentedFace) -> Float32[np.ndarray, " D"] | None:
        """Return the vector of a face, None where it has not been made."""
        return self.extraction.stored_vector(self.store, face.source.sha256, self._key(face))

    def drawn_ops(self, face: AugmentedFace) -> list[str]:
        """Return the names of the operations that happen to a face, in order."""
        return face.recipe.drawn_ops(identity(face.source, self.extraction), face.number)

    def picture_file(self, face: AugmentedFace, pictures: Pictures) -> Path:
        """Return where a face's picture is kept; another crop, recipe or quality has another name."""
        made = hashlib.sha256(f"{self._key(face)}/{pictures.quality}".encode()).hexdigest()[:8]
        source = face.source
        age = "unknown" if np.isnan(source.age) else f"{int(source.age):02d}"
        return pictures.folder / age / f"{source.sha256[:32]}_{made}_{face.number}.jpg"

    def _key(self, face: AugmentedFace) -> str:
        """Name in the store what decides the vector of a face, but for its photograph and the network."""
        return f"{self.extraction.face_key(face.source.face)}/{face.recipe.fingerprint}/{face.number}"

    def _make(self, missing: Sequence[AugmentedFace], pictures: Pictures | None) -> None:
        """Draw and embed faces; each vector goes to the store as soon as it is made."""
        # where only the picture is missing, the vector stays the one that others may have read
        embedded = {face for face in missing if pictures is not None and self.stored(face) is not None}
        size, waiting = self.extraction.embedder.batch_size, list[tuple[AugmentedFace, np.ndarray]]()

        def embed_batches(least: int) -> None:
            while len(waiting) >= least and waiting:
                batch = waiting[:size]
                del waiting[:size]
                vectors = self.embed(np.stack([prepared for _, prepared in batch]))
                for (face, _), vector in zip(batch, vectors, strict=True):
                    self.store.put_vector(face.source.sha256, self._key(face), self.extraction.stored_as[0], vector)

        workers, stop = self.execution.workers, self.execution.stop
        tasks, ahead = self._tasks(missing, pictures), 2 * (size // _FACES_PER_TASK) + workers
        with Progress(len(missing), "face", "augmented faces", spoken=True) as progress:
            for (task,), drawn in pool.run(draw, tasks, workers, start, (self.extraction,), ahead, stop):
                if drawn is None:
                    path = task.faces[0].source.path
                    raise UserError(f"{path}: the process that augmented it was killed (out of memory?)")
                waiting += [pair for pair in zip(task.faces, drawn, strict=True) if pair[0] not in embedded]
                embed_batches(size)
                progress.advance(len(task.faces))
            embed_batches(1)
        if stop.is_set():
            raise Interrupted

    def _tasks(self, missing: Sequence[AugmentedFace], pictures: Pictures | None) -> list[tuple[DrawTask]]:
        """Cut the work into tasks, each the only argument of `draw`."""
        groups: dict[tuple[str, str], list[AugmentedFace]] = defaultdict(list)
        for face in missing:
            groups[identity(face.source, self.extraction), face.recipe.fingerprint].append(face)
        return [
            (self._task(name, tuple(group[first : first + _FACES_PER_TASK]), pictures),)
            for (name, _), group in groups.items()
            for first in range(0, len(group), _FACES_PER_TASK)
        ]

    def _task(self, name: str, faces: tuple[AugmentedFace, ...], pictures: Pictures | None) -> DrawTask:
        if pictures is None:
            return DrawTask(faces, name, (), 0)
        return DrawTask(faces, name, tuple(self.picture_file(face, pictures) for face in faces), pictures.quality)


@contextmanager
def open_augmenter(extraction: Extraction, execution: Execution) -> Iterator[FaceAugmenter]:
    """Open the store, and keep at hand what it takes to make augmented faces."""
    with open_store(execution.store) as store:
        yield FaceAugmenter(extraction, execution, store)

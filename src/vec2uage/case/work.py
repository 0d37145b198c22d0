"""From the files of a case to a journal that knows what became of each: in parallel, resumable, in bounded memory.

Every file is hashed; each content of which the journal knows nothing is looked into once, by worker processes, and its
faces are embedded and estimated here, a batch at a time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from threading import Event

import numpy as np
from jaxtyping import Float32

from vec2uage.base.interrupt import Interrupted
from vec2uage.base.progress import Progress
from vec2uage.case.examine import examine, start
from vec2uage.case.inputs import read_inputs
from vec2uage.case.journal import Journal, Outcome
from vec2uage.case.predictor import Estimates
from vec2uage.case.records import CaseFile, FaceResult
from vec2uage.faces import pool
from vec2uage.faces.embedders.base import Embed
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.records import FaceCrop, Hashes

Predict = Callable[[Float32[np.ndarray, "B D"]], Estimates]
"""Says of each vector what the model does, the same bits whatever the others."""

_KILLED = "the process that looked into it was killed (a damaged file, or out of memory)"


def examine_all(
    files: Iterable[CaseFile],
    journal: Journal,
    extraction: Extraction,
    embed: Embed,
    predict: Predict,
    *,
    is_known: Callable[[Hashes], bool],
    workers: int,
    keep_vectors: bool,
    stop: Event,
) -> None:
    """Put into the journal what became of every file, and of every face of it; what it knows is not done again.

    `embed` is the extraction's embedder, opened. Files that `is_known` tells of are not looked into. Raises Interrupted
    when `stop` is set before all is done, and what `files` raises.
    """
    journal.put_inputs(read_inputs(files, journal, is_known, workers, stop))
    keys = journal.unknown_contents()
    if not keys:
        return
    tasks = map(journal.paths_and_content, keys)
    ahead = 2 * extraction.embedder.batch_size + workers
    parts = pool.stream(examine, tasks, workers, start, (extraction,), ahead, stop)
    with Progress(len(keys), "file", "files", spoken=True) as progress:
        faces = _faces(parts, journal, progress)
        while batch := list(islice(faces, extraction.embedder.batch_size)):
            vectors = embed(np.stack([face.crop.prepared for face in batch if face.crop.prepared is not None]))
            estimates = predict(vectors)
            for row, face in enumerate(batch):
                kept = vectors[row] if keep_vectors else None
                result = estimates.of_face(row, face.number, face.crop.face, _measures(face.crop), kept)
                face.content.results.append(result)
                face.content.put_if_done(journal)
    if stop.is_set():
        raise Interrupted


@dataclass
class _Content:
    """A content that is being looked into."""

    sha256: str
    faces: int = 0
    """So many were cut out."""
    results: list[FaceResult] = field(default_factory=list)
    """Of those that were estimated."""
    outcome: Outcome | None = None

    def put_if_done(self, journal: Journal) -> None:
        """Put it into the journal where all its faces were estimated, and there are no more."""
        if self.outcome is not None and len(self.results) == self.faces:
            journal.put(self.sha256, self.outcome, self.results)


@dataclass(frozen=True)
class _CutFace:
    content: _Content
    number: int
    crop: FaceCrop


def _faces(
    parts: Iterator[tuple[pool.Task, tuple[int, FaceCrop] | Outcome | None]], journal: Journal, progress: Progress
) -> Iterator[_CutFace]:
    """Yield the faces that worker processes cut out; contents without any go into the journal.

    A file whose process was killed begins again at its first face. What was found before it was killed for good counts.
    """
    contents: dict[str, _Content] = {}
    for (_, sha256), part in parts:
        if isinstance(part, tuple):
            number, crop = part
            if number == 1:
                contents[sha256] = _Content(sha256)
            contents[sha256].faces = number
            yield _CutFace(contents[sha256], number, crop)
        else:
            content = contents.pop(sha256, None) or _Content(sha256)
            content.outcome = part or Outcome("ok" if content.faces else "unreadable", _KILLED, lasts=False)
            content.put_if_done(journal)
            progress.advance()


def _measures(crop: FaceCrop) -> dict[str, float]:
    assert isinstance(crop.measures, dict), "only usable faces are cut out"
    return crop.measures

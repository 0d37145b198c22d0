"""Draws augmented faces in worker processes: from the photograph to what the embedder takes, and to JPEG files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vec2uage.augmentation.recipe import Recipe
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.faces import worker
from vec2uage.faces.crop import crop
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.image import decode
from vec2uage.faces.records import Refused


@dataclass(frozen=True, eq=False)
class AugmentedFace:
    """An augmented face that is wanted: the `number`-th that a recipe makes of a source face."""

    source: SourceFace
    recipe: Recipe
    number: int


@dataclass(frozen=True, eq=False)
class DrawTask:
    """Augmented faces of one source face by one recipe: drawn together, its photograph is decoded once for them."""

    faces: tuple[AugmentedFace, ...]
    identity: str
    """Names the source face as it was cut out (see `identity`)."""
    files: tuple[Path, ...]
    """Where their pictures are kept, in the order of `faces`; empty where they are not."""
    quality: int
    """Of the JPEG files, 1 to 100."""


def identity(source: SourceFace, extraction: Extraction) -> str:
    """Name a cut-out face: what its augmentation depends on besides the recipe and a number."""
    return f"{source.sha256}/{extraction.face_key(source.face)}"


def read_face(source: SourceFace, extraction: Extraction) -> UInt8[np.ndarray, "h w 3"]:
    """Read the photograph of a face and cut the face out; UserError where it cannot be read, or has changed."""
    try:
        content = source.path.read_bytes()
    except OSError as error:
        raise UserError(f"{source.path}: cannot be opened: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise UserError(f"{source.path}: changed since it was hashed: run the command again")
    try:
        return crop(decode(content, extraction.max_pixels), source.face, extraction.crop)
    except Refused as refused:
        raise UserError(f"{source.path}: {refused.reason}") from None


_extraction: Extraction | None = None


def start(extraction: Extraction) -> None:
    """Prepare a worker process."""
    global _extraction
    worker.start(extraction)
    _extraction = extraction


def draw(task: DrawTask) -> list[np.ndarray]:
    """Draw the faces of a task in a worker process: return the embedder's inputs, and keep the pictures.

    Raises UserError where the photograph has changed, an operation fails, or the embedder refuses what it gives.
    """
    assert _extraction is not None, "start() comes first"
    pixels = read_face(task.faces[0].source, _extraction)
    prepared = []
    for position, face in enumerate(task.faces):
        drawn = face.recipe.draw(pixels, task.identity, face.number)
        try:
            prepared.append(_extraction.embedder.prepare(drawn))
        except Refused as refused:
            names = ", ".join(face.recipe.drawn_ops(task.identity, face.number))
            raise UserError(
                f"{face.source.path} cannot be embedded after {names}: {refused.reason}: change them"
            ) from None
        if task.files:
            with replacing(task.files[position]) as temporary:
                Image.fromarray(drawn).save(temporary, quality=task.quality)
    return prepared

"""What the worker processes do with one photograph: find its faces and make an embedder's inputs of them.

Nothing here touches the store or torch's embedder, so that a photograph that kills its process costs nothing else.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import PIL

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.faces.crop import Crop, crop
from vec2uage.faces.detectors.base import Detector, Faces, choose
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.image import decode
from vec2uage.faces.quality import Quality
from vec2uage.faces.records import Face, Refused
from vec2uage.faces.signature import signature
from vec2uage.faces.store import Measures

PIXELS = f"pixels-1-pillow-{PIL.__version__}"
"""Part of every key in the store: to be raised with every change of what becomes of a file's pixels here."""


@dataclass(frozen=True)
class Extraction:
    """How faces become vectors; the part of the settings that workers need."""

    detector: Detector
    faces: Faces
    crop: Crop
    quality: Quality
    embedder: Embedder
    max_pixels: int
    keep_crops: Path | None

    def detection_key(self) -> str:
        """Name in the store what decides which faces are found."""
        return f"{self.detector.fingerprint()}/{self.max_pixels}/{PIXELS}"

    def face_key(self, face: Face) -> str:
        """Name in the store what decides how a face is cut out."""
        box = face.left, face.top, face.right, face.bottom
        return f"{box}/{self.crop.size}/{self.crop.margin}/{PIXELS}"

    def crop_file(self, sha256: str, face: Face) -> Path:
        """Return where the crop of a face is kept; another crop of the same face has another name."""
        assert self.keep_crops is not None
        return self.keep_crops / f"{sha256}_{hashlib.sha256(self.face_key(face).encode()).hexdigest()[:8]}.png"

    def measures_key(self, face: Face) -> str:
        """Name in the store what decides what is measured of a face, or that it is refused; thresholds do not."""
        return f"{self.face_key(face)}/{type(self.quality).__name__}/{self.embedder.fingerprint()}"


@dataclass(frozen=True)
class Cut:
    """A chosen face: what was measured of it and the embedder's input, or why it cannot be cut out."""

    face: Face
    measured: Measures | Refused
    prepared: np.ndarray | None = None


@dataclass(frozen=True)
class Looked:
    """What a worker found in one photograph."""

    found: list[Face] | Refused
    signature: str = ""
    cuts: list[Cut] = field(default_factory=list)


_detect: Callable[[np.ndarray], list[Face]] | None = None
_extraction: Extraction | None = None


def start(extraction: Extraction) -> None:
    """Prepare a worker process: it leaves Ctrl-C to its parent, dies with it, and uses one core."""
    global _extraction
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    _extraction = extraction


def look(path: Path, sha256: str, known: list[Face] | None) -> Looked | Refused:
    """Find the faces of a photograph (unless they are known), and cut out, measure and prepare the chosen ones.

    Returns Refused for what another run may find otherwise: a file that is away, or a detector that fails.
    """
    assert _extraction is not None, "start() comes first"
    try:
        content = path.read_bytes()
    except OSError as error:
        return Refused("unreadable", f"cannot be opened: {error.strerror or error}")
    if hashlib.sha256(content).hexdigest() != sha256:
        return Refused("unreadable", "changed while it was being read")
    try:
        return _look(content, sha256, known, _extraction)
    except Refused as refused:
        return Looked(refused)
    except (UserError, OSError):  # the user's to mend, or a full disk: no photograph would fare better
        raise
    except Exception as error:
        return Refused("unreadable", f"looking into it failed: {type(error).__name__}: {error}")


def _look(content: bytes, sha256: str, known: list[Face] | None, how: Extraction) -> Looked:
    image = decode(content, how.max_pixels)
    found = _open_detector()(image) if known is None else known
    try:
        chosen = choose(found, how.faces)
    except Refused:  # the reason is found again from `found`, which stays valid for another choice
        chosen = []
    return Looked(found, signature(image), [_cut(image, face, sha256, how) for face in chosen])


def _cut(image: np.ndarray, face: Face, sha256: str, how: Extraction) -> Cut:
    try:
        pixels = crop(image, face, how.crop)
        prepared = how.embedder.prepare(pixels)
        measured = how.quality.measure(image, face)
    except Refused as refused:
        return Cut(face, refused)
    if how.keep_crops is not None and _is_good(measured, how.quality):
        _save(pixels, how.crop_file(sha256, face))
    return Cut(face, measured, prepared)


def _is_good(measured: Measures, quality: Quality) -> bool:
    try:
        quality.check(measured)
    except Refused:
        return False
    return True


def _save(pixels: np.ndarray, path: Path) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary)


def _open_detector() -> Callable[[np.ndarray], list[Face]]:
    global _detect
    if _detect is None:
        assert _extraction is not None
        _detect = _extraction.detector.open()
        if "torch" in sys.modules:
            import torch

            torch.set_num_threads(1)
    return _detect


def _die_with(sentinel: int) -> None:
    """End this process as soon as its parent is gone: a killed command leaves no process behind."""
    wait([sentinel])
    os._exit(1)

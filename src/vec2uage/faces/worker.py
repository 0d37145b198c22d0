"""What the worker processes do with one photograph: find its faces and make an embedder's inputs of them.

Nothing here touches the store or torch's embedder, so that a photograph that kills its process costs nothing else.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.faces.crop import crop
from vec2uage.faces.detectors.base import Detect, choose
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.image import decode
from vec2uage.faces.records import Detection, Face, FaceCrop, Refused, unopened
from vec2uage.faces.signature import signature
from vec2uage.faces.turning import find_turned, turned

_extraction: Extraction | None = None
_find_faces: Detect | None = None


def start(extraction: Extraction) -> None:
    """Prepare a worker process: it leaves Ctrl-C to its parent, dies with it, and uses one core."""
    global _extraction
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    _extraction = extraction


def detect(path: Path, sha256: str, known: list[Face] | None) -> Detection:
    """Find the faces of a photograph (unless they are known), and cut out, measure and prepare the chosen ones.

    What makes the photograph unusable becomes a refusal in the Detection. Raises what no other photograph would fare
    better with: UserError (the user's to mend) and OSError (a full disk).
    """
    assert _extraction is not None, "start() comes first"
    content = _read(path, sha256)
    if isinstance(content, Refused):
        return Detection(sha256, content, lasting=False)
    try:
        image = decode(content, _extraction.max_pixels)
        faces = find_faces(image) if known is None else known
        chosen = choose(faces, _extraction.faces)
        # a refusal to choose is found again from `faces`, which stay valid for another choice
        crops = [] if isinstance(chosen, Refused) else [cut_out(image, face, sha256, _extraction) for face in chosen]
        return Detection(sha256, faces, signature(image), crops)
    except Refused as refused:
        return Detection(sha256, refused, lasting=refused.status != "needs_plugin")
    except (UserError, OSError):
        raise
    except Exception as error:
        reason = f"looking into it failed: {type(error).__name__}: {error}"
        return Detection(sha256, Refused("unreadable", reason), lasting=False)


def _read(path: Path, sha256: str) -> bytes | Refused:
    """Return a file's content, which must be the one that was hashed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return unopened(error)
    if hashlib.sha256(content).hexdigest() != sha256:
        return Refused("unreadable", "changed while it was being read")
    return content


def find_faces(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
    """Find the faces of an image, turned where the extraction asks for it."""
    assert _extraction is not None, "start() comes first"
    return find_turned(detector(), image, _extraction.turns, _extraction.detector.is_upright)


def cut_out(image: UInt8[np.ndarray, "H W 3"], face: Face, sha256: str, extraction: Extraction) -> FaceCrop:
    """Cut a face out of its photograph `[H, W, 3]`, measure it, and make the embedder's input `[...]` of the crop.

    `image` is the photograph as it is; it is turned as it was when the face was found.

    The crop is kept as a file where `extraction.keep_crops` asks for it and its quality passes.
    """
    try:
        image = turned(image, face.turn)
        pixels = crop(image, face, extraction.crop)
        prepared = extraction.embedder.prepare(pixels)
        measures = extraction.quality.measure(image, face)
    except Refused as refused:
        return FaceCrop(sha256, face, refused)
    if extraction.keep_crops is not None and extraction.quality.check(measures) is None:
        with replacing(extraction.crop_file(sha256, face)) as temporary:
            Image.fromarray(pixels).save(temporary)
    return FaceCrop(sha256, face, measures, prepared)


def detector() -> Detect:
    """Return the detector, opened once in each process."""
    global _find_faces
    if _find_faces is None:
        assert _extraction is not None
        _find_faces = _extraction.detector.open()
        if "torch" in sys.modules:
            import torch

            torch.set_num_threads(1)
    return _find_faces


def _die_with(sentinel: int) -> None:
    """End this process as soon as its parent is gone: a killed command leaves no process behind."""
    wait([sentinel])
    os._exit(1)

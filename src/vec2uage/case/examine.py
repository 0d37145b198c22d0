"""What worker processes do with one file of a case: find its faces and make an embedder's inputs of them.

Nothing here touches the journal or torch's embedder, so that a file that kills its process costs nothing else.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import UInt8

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import counted
from vec2uage.case.journal import Outcome
from vec2uage.case.records import Status
from vec2uage.faces import worker
from vec2uage.faces.detectors.base import Detect, choose
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.hashing import regular_state, state_of
from vec2uage.faces.image import decode
from vec2uage.faces.records import FaceCrop, Refused, unopened
from vec2uage.faces.turning import find_turned, in_image
from vec2uage.faces.video import Damaged, frames, is_video

START_BYTES = 1024
"""So many tell what a file holds."""
_MOST_BYTES = 8  # a pixel: four channels of 16 bits

Part = tuple[int, FaceCrop] | Outcome
"""A face, numbered from 1, or what came of its file."""

_extraction: Extraction | None = None


class _Changed(OSError):
    """A file that holds something else now."""


def start(extraction: Extraction) -> None:
    """Prepare a worker process (see `worker.start`)."""
    global _extraction
    worker.start(extraction)
    _extraction = extraction


def examine(paths: Sequence[Path], sha256: str) -> Iterator[Part]:
    """Do `look_into` in a worker process."""
    assert _extraction is not None, "start() comes first"
    yield from look_into(paths, sha256, _extraction, worker.detector())


def look_into(paths: Sequence[Path], sha256: str, extraction: Extraction, detect: Detect) -> Iterator[Part]:
    """Yield each usable face of a photograph or a video, cut out, and last what came of the file.

    It is read from the first of the `paths` at which this content still lies.

    Faces are numbered by frame, and within a picture in the order of `choose`; their boxes are those in the upright
    picture. Of a file that is damaged or ends in an error, the faces before that count. Raises UserError, which no
    other file would fare better with.
    """
    number, refusals, problem = 0, list[Refused](), None
    try:
        for seconds, image in _pictures(paths, sha256, extraction):
            for crop in _cut_out(image, sha256, extraction, detect):
                refusal = _refusal(crop, extraction)
                if refusal is not None:
                    refusals.append(refusal)
                else:
                    number += 1
                    yield number, replace(crop, face=replace(crop.face, seconds=seconds))
    except UserError:
        raise
    except Damaged as damaged:
        problem = Outcome("no_face", damaged.reason)
    except Refused as refused:  # what refuses a whole file has no other statuses; a plug-in may be there the next time
        problem = Outcome(cast(Status, refused.status), refused.reason, lasts=refused.status != "needs_plugin")
    except _Changed:
        problem = Outcome("unreadable", "changed while it was being read", lasts=False)
    except OSError as error:
        problem = Outcome("unreadable", unopened(error).reason, lasts=False)
    except Exception as error:
        problem = Outcome("unreadable", f"looking into it failed: {type(error).__name__}: {error}", lasts=False)
    yield _outcome(number, refusals, problem)


def _outcome(faces: int, refusals: Sequence[Refused], problem: Outcome | None) -> Outcome:
    """Return what came of a file with so many usable faces, those that were refused, and what ended it early."""
    reasons = [] if problem is None else [problem.reason]
    if refusals:
        reasons.append(f"{counted(len(refusals), 'face')} cannot be used: {refusals[0].reason}")
    if faces:
        status: Status = "ok"
    else:
        status = "no_face" if problem is None else problem.status
        reasons = reasons or ["no face was found"]
    return Outcome(status, "; ".join(reasons), lasts=problem is None or problem.lasts)


def _pictures(
    paths: Sequence[Path], sha256: str, extraction: Extraction
) -> Iterator[tuple[float | None, UInt8[np.ndarray, "H W 3"]]]:
    """Yield the frames of a video with their seconds, or a photograph, which has none."""
    path, state, content = _found(paths, sha256, extraction)
    if content is not None:
        yield None, decode(content, extraction.max_pixels)
        return
    ended: Exception | None = None
    try:
        assert extraction.frames is not None, "videos are read"
        yield from frames(path, extraction.frames, extraction.max_pixels)
    except (Damaged, Refused) as error:
        ended = error
    if regular_state(path) != state:
        raise _Changed
    if ended is not None:
        raise ended


def _found(paths: Sequence[Path], sha256: str, extraction: Extraction) -> tuple[Path, str, bytes | None]:
    """Return where a content still lies, in which state, and a photograph's bytes.

    Raises what is wrong with the first of the paths, where it lies at none.
    """
    problems = list[OSError]()
    for path in paths:
        try:
            return path, *_read(path, sha256, extraction)
        except OSError as error:
            problems.append(error)
    raise problems[0]


def _read(path: Path, sha256: str, extraction: Extraction) -> tuple[str, bytes | None]:
    """Return the state of a file with this content, and its bytes; None of a video, which is not held in memory."""
    most = _MOST_BYTES * extraction.max_pixels
    with path.open("rb") as file:
        state = state_of(os.fstat(file.fileno()))
        is_of_frames = extraction.frames is not None and is_video(file.read(START_BYTES))
        file.seek(0)
        content = b"" if is_of_frames else file.read(most + 1)
        digest = hashlib.sha256(content)
        while piece := file.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != sha256:
        raise _Changed
    if len(content) > most:
        raise Refused("unreadable", f"larger than any photograph of {extraction.max_pixels:,} pixels (max_pixels)")
    return state, None if is_of_frames else content


def _cut_out(
    image: UInt8[np.ndarray, "H W 3"], sha256: str, extraction: Extraction, detect: Detect
) -> Iterator[FaceCrop]:
    """Yield the chosen faces of a picture, whether they can be used or not, with their boxes in it as it is."""
    found = find_turned(detect, image, extraction.turns, extraction.detector.is_upright)
    chosen = choose(found, extraction.faces)
    if isinstance(chosen, Refused):
        return
    for face in chosen:
        crop = worker.cut_out(image, face, sha256, extraction)
        yield replace(crop, face=in_image(face, image.shape[:2]))


def _refusal(crop: FaceCrop, extraction: Extraction) -> Refused | None:
    return crop.measures if isinstance(crop.measures, Refused) else extraction.quality.check(crop.measures)

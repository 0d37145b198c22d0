"""Cases of generated pictures, and a model of them that takes no time."""

import threading
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from drawn_face import save
from jaxtyping import Float32
from toys import Halves, MeanColour

from vec2uage.case.journal import open_journal
from vec2uage.case.predictor import Estimates
from vec2uage.case.records import CaseFile, FileResult
from vec2uage.case.work import Predict, examine_all
from vec2uage.faces.crop import Crop
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.quality import NoQuality
from vec2uage.faces.video import Frames

OPTIONS = Extraction(
    detector=Halves(count=2),
    faces="all",
    crop=Crop(size=8, margin=0.0),
    quality=NoQuality(),
    embedder=MeanColour(),
    max_pixels=100_000,
    keep_crops=None,
    frames=Frames(per_second=1.0, most=10),
)


def predict(vectors: Float32[np.ndarray, "B 3"]) -> Estimates:
    """Half of red is the age."""
    age = vectors[:, 0].astype(float) / 4
    return Estimates(age, age - 1, age + 1, (age < 18) / 2, age < 18, None)


def examine(
    files: Iterable[CaseFile],
    folder: Path,
    how: Extraction = OPTIONS,
    workers: int = 2,
    known: Iterable[str] = (),
    keep_vectors: bool = False,
    predict: Predict = predict,
    stop: threading.Event | None = None,
) -> list[FileResult]:
    """Do the work of a case in a folder, and return what came of it."""
    with open_journal(folder, {}) as journal:
        examine_all(
            files,
            journal,
            how,
            how.embedder.open("cpu"),
            predict,
            is_known=lambda hashes: hashes.md5 in known,
            workers=workers,
            keep_vectors=keep_vectors,
            stop=stop or threading.Event(),
        )
        return list(journal.results())


def picture(path: Path, *colour: int) -> CaseFile:
    """Write a picture of one colour; its name in the case is that of its file."""
    return CaseFile(path.name, save(path, np.full((20, 30, 3), colour, np.uint8)))


def pictures(folder: Path, count: int) -> list[CaseFile]:
    return [picture(folder / f"{k:03d}.png", k % 250 + 1, 7, k // 250) for k in range(count)]


def video(path: Path, *greys: int) -> CaseFile:
    """Write a video with a frame a second, each of one grey."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg4", rate=1)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for grey in greys:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="rgb24")
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return CaseFile(path.name, path)

"""What flows from a source to a row: photographs, faces, crops, and why one of them cannot be used."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

Status = Literal[
    "ok",
    "no_face",
    "several_faces",
    "unreadable",
    "too_small",
    "low_quality",
    "duplicate",
    "conflicting",
    "no_age",
    "filtered",
    "needs_plugin",
    "no_media",
]
"""What became of a photograph, the column `status` of faces.csv: `no_age` has no usable age in its name or table,
`conflicting` is given several ages, genders or subjects, `filtered` is outside what was asked for, `needs_plugin` is of
a format that an extra package reads. `no_media`, a video's container without pictures, is for videos alone."""

Measures = dict[str, float]
"""What `quality` measured of a face, by name."""


class Refused(Exception):
    """A photograph or a face that cannot be used."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(status, reason)
        self.status: Status = status
        self.reason = reason


def unopened(error: OSError) -> Refused:
    """Return the refusal of a file that cannot be opened or read."""
    return Refused("unreadable", f"cannot be opened: {error.strerror or error}")


@dataclass(frozen=True)
class Photograph:
    """One input file, before it is opened."""

    path: Path
    name: str
    """Unique in its source: the path below the source's folder, with `/`."""
    age: float | None
    """Years; None where the name or the table does not give a usable one."""
    subject: str = ""
    """The person; "" where unknown."""
    gender: str = ""
    """"male", "female" or "" where unknown."""
    source: str = ""
    part: str = ""
    """Which of several merged sources it is of, each with subjects of its own; "" where there is one source."""
    problem: str = ""
    """Why the file is not to be opened; "" where it is."""
    problem_status: Status = "no_age"
    """Its status where there is a problem."""
    outside: bool = False
    """Whether the path must not be followed, as it is no file's or leaves the source's folder: it is not hashed."""


@dataclass(frozen=True)
class Hashes:
    """Digests of a file's content, in hexadecimal: what case tools join results by."""

    sha256: str
    sha1: str
    md5: str


Point = tuple[float, float]
"""x and y in pixels."""


@dataclass(frozen=True)
class Points:
    """Five points of a face; left and right are those of the picture."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    """The corner of the mouth."""
    right_mouth: Point

    def all(self) -> tuple[Point, ...]:
        """Return the points in the order of the fields."""
        return self.left_eye, self.right_eye, self.nose, self.left_mouth, self.right_mouth


@dataclass(frozen=True)
class Face:
    """A face, as a box in pixels of the upright image; it may reach beyond the image."""

    left: int
    top: int
    right: int
    """First column to the right of the face."""
    bottom: int
    """First row below the face."""
    score: float
    """How sure the detector is, on its own scale; NaN where nothing was detected (detector=none)."""
    detector: str
    """Which detector found it: `hog`, `cnn`, `mtcnn`, `yunet` or `none`."""
    points: Points | None = field(default=None, repr=False)
    """None where the detector gives none."""
    turn: int = field(default=0, repr=False)
    """Degrees clockwise, a multiple of 90, by which the image was turned when the face was found; box and points are
    those in the turned image until `turning.in_image` says where they are in the upright one."""
    seconds: float | None = field(default=None, repr=False)
    """From the beginning of a video to the frame in which the face is; None in a photograph."""


@dataclass(frozen=True)
class FaceCrop:
    """A chosen face, cut out: what was measured of it and the embedder's input, or why it cannot be cut out."""

    sha256: str
    """Of its photograph's content."""
    face: Face
    measures: Measures | Refused
    prepared: Float32[np.ndarray, "..."] | None = None
    """Of the embedder's `input_shape`; None where `measures` is a refusal."""


@dataclass(frozen=True)
class Detection:
    """What was found in one photograph: all its faces and the crops of the chosen ones, or why it cannot be used."""

    sha256: str
    """Of the photograph's content."""
    faces: list[Face] | Refused
    signature: str = ""
    """Of the photograph (see `faces.signature`); "" where it could not be decoded."""
    crops: list[FaceCrop] = field(default_factory=list)
    lasting: bool = True
    """False where the next run may find otherwise, as the file was away, the detector failed or a plug-in is
    missing: it is not stored."""


@dataclass(frozen=True)
class Row:
    """A row of faces.csv: what became of a photograph, or of one of its faces."""

    photograph: Photograph
    status: Status
    reason: str = ""
    """Why it has no vector; "" where it has one."""
    hashes: Hashes | None = None
    signature: str = ""
    """Of the photograph (see `faces.signature`)."""
    number: int = 1
    """Of the face in its photograph, from 1."""
    face: Face | None = None
    measures: Measures | None = None
    vector: Float32[np.ndarray, " D"] | None = None

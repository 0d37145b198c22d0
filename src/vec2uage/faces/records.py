"""What is known of a photograph before it is opened, of a face found in it, and why one cannot be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal[
    "ok", "no_face", "several_faces", "unreadable", "too_small", "low_quality", "duplicate", "no_age", "filtered"
]
"""What became of a photograph, the column `status` of faces.csv: `no_age` has no usable age in its name or table,
`filtered` is outside the ages or genders that were asked for."""


@dataclass(frozen=True)
class Photograph:
    """One input file, before anybody looked into it."""

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
    problem: str = ""
    """Why the file is not to be opened; "" where it is."""
    problem_status: Status = "no_age"
    """Its status where there is a problem."""
    outside: bool = False
    """Whether the path must not be followed, as it is no file's or leaves the source's folder: it is not hashed."""


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
    """Which detector found it: `hog`, `cnn`, `mtcnn` or `none`."""


class Refused(Exception):
    """A photograph or a face that cannot be used."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(status, reason)
        self.status: Status = status
        self.reason = reason

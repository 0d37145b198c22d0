"""What flows through a prediction: the files of a case, and what became of each of them and of each of its faces."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vec2uage.faces.records import Face, Hashes, Measures

Status = Literal[
    "ok",
    "no_face",
    "unreadable",
    "missing",
    "hash_mismatch",
    "skipped_known",
    "needs_plugin",
    "no_media",
]
"""What became of a file, the column `status` of files.csv.

`ok`: at least one face has an age; `missing`: listed, but not there; `hash_mismatch`: not the file that the source
lists; `skipped_known`: on the list of known files; `needs_plugin`: a format that an extra package reads; `no_media`:
neither an image nor a video."""

FAILED: tuple[Status, ...] = ("unreadable", "missing", "hash_mismatch", "needs_plugin")
"""Statuses of files that were to be looked into and could not be: such a case ends with exit code 3."""

ALGORITHMS = ("md5", "sha1", "sha256")


@dataclass(frozen=True)
class CaseFile:
    """One input, as a source names it, before it is opened."""

    name: str
    """As the source has it: a path below its folder, or what a list says. Bytes that are no UTF-8 are surrogates, as
    `os.fsdecode` has them; never made visible, nor escaped, before it is written or printed."""
    path: Path
    hashes: Mapping[str, str] = field(default_factory=dict)
    """The digests that the source gives, by algorithm (`ALGORITHMS`), in lower-case hexadecimal."""
    problem: str = ""
    """Why the file is not to be opened; "" where it is."""
    status: Status = "unreadable"
    """Its status where there is a problem."""


@dataclass(frozen=True)
class FaceResult:
    """A face of a file, and what the model says of it."""

    number: int
    """Of the face in its file, from 1."""
    face: Face
    measures: Measures
    """What `quality` measured, by name."""
    age: float
    """Years: the median of its distribution."""
    low: float
    """Years: where its central 90% interval begins."""
    high: float
    p_minor: float | None
    """P(age < 18); None where the model gives points."""
    flagged: bool | None
    """Whether it is at or above the model's guaranteed threshold; None where the model has none."""
    distance: float | None
    """From the faces that the model was trained on (`Reference.distance`); None where no reference is known."""
    doubts: tuple[str, ...] = ()
    """What makes the estimate doubtful, by the rules of `reliability`; empty: nothing."""
    vector: bytes | None = None
    """float32, little-endian; None unless vectors are kept."""

    @property
    def reliability(self) -> str:
        """The column of predictions.csv: `ok`, or all doubts."""
        return "; ".join(self.doubts) or "ok"


@dataclass(frozen=True)
class FileResult:
    """What became of one input."""

    file: CaseFile
    number: int
    """1, or 2, 3, ... where the source names the same file again."""
    status: Status
    reason: str = ""
    """Why there is no age, or of what only a part could be read; "" where all went well."""
    size: int | None = None
    """Bytes."""
    hashes: Hashes | None = None
    faces: tuple[FaceResult, ...] = ()

    @property
    def p_minor(self) -> float | None:
        """The highest P(age < 18) of its faces."""
        return max((face.p_minor for face in self.faces if face.p_minor is not None), default=None)

    @property
    def age(self) -> float | None:
        """The lowest age of its faces."""
        return min((face.age for face in self.faces), default=None)

    @property
    def flagged(self) -> bool | None:
        """Whether any of its faces is; None where the model has no threshold, and where there is no face."""
        known = [face.flagged for face in self.faces if face.flagged is not None]
        return any(known) if known else None


Results = Callable[[], Iterator[FileResult]]
"""Reads all results of a case, one after the other, sorted by name and number; can be called again."""

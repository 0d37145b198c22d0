"""How faces become vectors, and the names under which the store keeps what came of it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL
from jaxtyping import Float32

from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector, FaceChoice
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.quality import Quality
from vec2uage.faces.records import Face, Measures, Refused
from vec2uage.faces.store import Store
from vec2uage.faces.video import Frames

PIXELS = f"pixels-3-pillow-{PIL.__version__}"
"""Part of every key in the store: to be raised with every change of what becomes of a file's pixels."""


@dataclass(frozen=True)
class Extraction:
    """How faces become vectors; the part of the settings that workers need."""

    detector: Detector
    faces: FaceChoice
    crop: Crop
    quality: Quality
    embedder: Embedder
    max_pixels: int
    keep_crops: Path | None
    turns: tuple[int, ...] = ()
    """Degrees clockwise by which a photograph is also turned to find faces in it (see `faces.turning`)."""
    frames: Frames | None = None
    """Which frames of a video are looked into; None where videos are not read."""

    def __post_init__(self) -> None:
        """Raise UserError where crops are aligned by points and the detector gives none."""
        if self.crop.align == "points" and not self.detector.gives_points:
            raise UserError("crop.align = points needs a detector that gives points: set detector=yunet")

    @cached_property
    def encoder(self) -> str:
        """Names all that decides from photograph to vector, as VectorSet has it (see `base.encoder`)."""
        embedder = Encoder.parse(self.embedder.fingerprint())
        return str(embedder.with_options(self.detector.encoder_options() | self.crop.encoder_options()))

    @cached_property
    def stored_as(self) -> tuple[str, ...]:
        """The embedder's names in the store; what is put there has the first."""
        return self.embedder.stored_as()

    @cached_property
    def detection_key(self) -> str:
        """Names in the store what decides which faces are found."""
        turns = f"/turns {self.turns}" * bool(self.turns)
        return f"{self.detector.fingerprint()}/{self.max_pixels}/{PIXELS}{turns}"

    def face_key(self, face: Face) -> str:
        """Name in the store what decides how a face is cut out."""
        return f"{self.crop.place(face)}/{self.crop.size}/{self.crop.margin}/{PIXELS}"

    def measures_key(self, face: Face, embedder: str) -> str:
        """Name in the store what decides what is measured of a face, or that it is refused; thresholds do not."""
        return f"{self.face_key(face)}/{type(self.quality).__name__}/{embedder}"

    def stored_measures(self, store: Store, sha256: str, face: Face) -> Measures | Refused | None:
        """Return what the store knows of a face under any name of the embedder, None where it was not measured."""
        found = (store.measures(sha256, self.measures_key(face, name)) for name in self.stored_as)
        return next((measures for measures in found if measures is not None), None)

    def stored_vector(self, store: Store, sha256: str, key: str) -> Float32[np.ndarray, " D"] | None:
        """Return the vector that the store has of what `key` names, None where it was not embedded.

        Under which of the embedder's names it is does not matter: they differ in precision only.
        """
        found = (store.vector(sha256, key, name) for name in self.stored_as)
        return next((vector for vector in found if vector is not None), None)

    def crop_file(self, sha256: str, face: Face) -> Path:
        """Return where the crop of a face is kept; another crop of the same face has another name."""
        assert self.keep_crops is not None
        return self.keep_crops / f"{sha256}_{hashlib.sha256(self.face_key(face).encode()).hexdigest()[:8]}.png"

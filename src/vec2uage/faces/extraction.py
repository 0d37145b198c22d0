"""How faces become vectors, and the names under which the store keeps what came of it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import PIL

from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector, FaceChoice
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.quality import Quality
from vec2uage.faces.records import Face

PIXELS = f"pixels-2-pillow-{PIL.__version__}"
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

    @cached_property
    def encoder(self) -> str:
        """Names the network that makes the vectors, as the store and VectorSet have it."""
        return self.embedder.fingerprint()

    @cached_property
    def detection_key(self) -> str:
        """Names in the store what decides which faces are found."""
        return f"{self.detector.fingerprint()}/{self.max_pixels}/{PIXELS}"

    def face_key(self, face: Face) -> str:
        """Name in the store what decides how a face is cut out."""
        box = face.left, face.top, face.right, face.bottom
        return f"{box}/{self.crop.size}/{self.crop.margin}/{PIXELS}"

    def measures_key(self, face: Face) -> str:
        """Name in the store what decides what is measured of a face, or that it is refused; thresholds do not."""
        return f"{self.face_key(face)}/{type(self.quality).__name__}/{self.encoder}"

    def crop_file(self, sha256: str, face: Face) -> Path:
        """Return where the crop of a face is kept; another crop of the same face has another name."""
        assert self.keep_crops is not None
        return self.keep_crops / f"{sha256}_{hashlib.sha256(self.face_key(face).encode()).hexdigest()[:8]}.png"

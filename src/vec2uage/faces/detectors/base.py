"""What a detector is, and which of the faces it found are used."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import UInt8

from vec2uage.config.error_messages import as_typed
from vec2uage.config.settings import settings
from vec2uage.faces.crop import resize
from vec2uage.faces.records import Face, Points, Refused

Detect = Callable[[UInt8[np.ndarray, "H W 3"]], list[Face]]
"""Finds the faces of an upright RGB image, in no particular order."""

FaceChoice = Literal["largest", "first", "all", "single"]
"""Which faces of a photograph are used: the largest, the one the detector is surest of, all, or the only one."""


@settings
class Detector(ABC):
    """Settings of something that finds faces."""

    gives_points: ClassVar[bool] = False
    """Whether its faces have points."""

    def is_upright(self, score: float) -> bool:
        """Tell whether a face with this score is upright; where only upright faces are found, each is."""
        return True

    @abstractmethod
    def open(self) -> Detect:
        """Load the models; called once in each worker process. UserError when a model cannot be loaded."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Name every setting and model that decides what is found; UserError when a model file is missing."""

    def encoder_options(self) -> dict[str, str]:
        """Return by key, `detector` and `detector.<setting>`, what moves boxes, for the name of an encoder."""
        return {"detector": self.fingerprint()}


def fingerprint(name: str, **decides: object) -> str:
    """Return `name-<16 hex digits>`; the digits change with everything in `decides`."""
    described = json.dumps(decides, sort_keys=True)
    return f"{name}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def encoder_options(name: str, settings: Mapping[str, object]) -> dict[str, str]:
    """Return a detector's name and settings by key, values as one types them on the command line."""
    typed = {key: value if isinstance(value, str) else as_typed(value) for key, value in settings.items()}
    return {"detector": name} | {f"detector.{key}": value for key, value in typed.items()}


def choose(faces: list[Face], which: FaceChoice) -> list[Face] | Refused:
    """Return the faces that are used, in an order that depends on nothing but the faces.

    Ties between equally large faces are decided by score, then by position (top, then left). Returns
    Refused("no_face") when there is none, and Refused("several_faces") when `single` finds several.
    """
    if not faces:
        return Refused("no_face", "no face was found")
    if which == "single" and len(faces) > 1:
        return Refused("several_faces", f"{len(faces)} faces were found, and faces=single")
    by_size = sorted(faces, key=lambda f: (-(f.right - f.left) * (f.bottom - f.top), *_surest(f)))
    return {"all": by_size, "first": sorted(faces, key=_surest)[:1]}.get(which, by_size[:1])


def _surest(face: Face) -> tuple[float, int, int, int, int]:
    return math.inf if math.isnan(face.score) else -face.score, face.top, face.left, face.bottom, face.right


def with_max_side(detect: Detect, max_side: int | None) -> Detect:
    """Let `detect` see images of at most `max_side` pixels a side: larger ones are shrunk, boxes scaled back."""

    def detect_shrunk(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
        height, width = image.shape[:2]
        if max_side is None or max(height, width) <= max_side:
            return detect(image)
        share = max_side / max(height, width)
        small = resize(image, max(1, round(height * share)), max(1, round(width * share)))
        down, across = height / small.shape[0], width / small.shape[1]
        return [_scaled(face, across, down) for face in detect(small)]

    return detect_shrunk


def _scaled(face: Face, across: float, down: float) -> Face:
    """Return a face as it lies in an image that is `across` times as wide and `down` times as high."""
    points = face.points and Points(*((x * across, y * down) for x, y in face.points.all()))
    left, right = round(face.left * across), round(face.right * across)
    top, bottom = round(face.top * down), round(face.bottom * down)
    return replace(face, left=left, top=top, right=right, bottom=bottom, points=points)

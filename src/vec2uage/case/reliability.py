"""What makes a face's estimate doubtful: rules over what was measured of the face.

What each rule does to the error is measured in docs/reliability.md.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from vec2uage.case.records import FileResult, Results
from vec2uage.config.settings import settings
from vec2uage.faces.records import Face, Measures


@settings
class Reliability:
    """From where on a measure makes an estimate doubtful; what was not measured breaks no rule."""

    min_eyes: Annotated[float, Field(ge=0)]
    """Pixels between the eyes."""
    min_size: Annotated[float, Field(ge=0)]
    """Pixels of the shorter side of the box within the image: for detectors that find no eyes."""
    min_sharpness: Annotated[float, Field(ge=0)]
    """Variance of the Laplacian of the grey face at 128 x 128 pixels."""
    min_brightness: Annotated[float, Field(ge=0, le=255)]
    """Mean grey level."""
    max_clipped: Annotated[float, Field(ge=0, le=1)]
    """Share of pixels that are nearly black or nearly white."""
    min_score: float
    """On the detector's own scale."""
    max_yaw: Annotated[float, Field(ge=0, le=90)]
    """Degrees by which the face looks to a side."""

    def doubts(self, measures: Measures, face: Face) -> tuple[str, ...]:
        """Return a word for each rule that a face breaks, `not measured` where nothing was measured of it."""
        if not measures:
            return ("not measured",)

        def measured(name: str) -> float:
            return measures.get(name, math.nan)  # which breaks no rule, as it compares false

        eyes = measured("eyes")
        broken = {
            "small": measured("size") < self.min_size if math.isnan(eyes) else eyes < self.min_eyes,
            "blurred": measured("sharpness") < self.min_sharpness,
            "dark": measured("brightness") < self.min_brightness,
            "clipped": measured("clipped") > self.max_clipped,
            "hardly a face": face.score < self.min_score,
            "in profile": abs(measured("yaw")) > self.max_yaw,
            "turned": face.turn != 0,
        }
        return tuple(word for word, is_broken in broken.items() if is_broken)


def with_doubts(results: Results, reliability: Reliability) -> Results:
    """Return the results, each face with its doubts."""

    def read() -> Iterator[FileResult]:
        for result in results():
            faces = (replace(face, doubts=reliability.doubts(face.measures, face.face)) for face in result.faces)
            yield replace(result, faces=tuple(faces))

    return read

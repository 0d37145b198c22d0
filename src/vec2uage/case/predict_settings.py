"""The settings of `vec2uage.predict`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.case.exports.base import Export
from vec2uage.case.reliability import Reliability
from vec2uage.case.sources.base import CaseSource
from vec2uage.case.sources.vectors import Vectors
from vec2uage.config.settings import CheckedBy, Choice, PositiveInt
from vec2uage.config.validate import check_settings, target_of
from vec2uage.evaluation.evaluate_settings import Checkpoint, Checkpoints, Ensemble
from vec2uage.faces.crop import Crop
from vec2uage.faces.detectors.base import Detector
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.prepare_settings import MaxPixels
from vec2uage.faces.quality import Quality
from vec2uage.faces.sources.vector_files import VectorFiles
from vec2uage.faces.turning import Turn
from vec2uage.faces.video import Frames


def check_source(values: Any, key: str, problems: list[str]) -> CaseSource | None:
    """Build the source of a case; those that look for ages are of no use outside `vec2uage.prepare`."""
    target = target_of(values, key, problems)
    if target is None:
        return None
    if not (isinstance(target, type) and issubclass(target, CaseSource | VectorFiles)):
        problems.append(
            f"{key}._target_ = {values['_target_']}: no source of a case; take source=folder, csv, vics or vectors"
        )
        return None
    made: CaseSource | VectorFiles | None = check_settings(target, values, key, problems)
    return Vectors(given=made) if isinstance(made, VectorFiles) else made


@dataclass(frozen=True)
class AskedModel:
    """Which model is asked, and how faces come to it: all that `serve` needs."""

    checkpoint: Checkpoint | Checkpoints
    ensemble: Ensemble
    statement: Literal["required", "optional"]
    encoder_mismatch: Literal["refuse", "allow"]
    detector: Choice[Detector]
    turns: tuple[Turn, ...]
    frames: Frames
    crop: Crop
    quality: Choice[Quality]
    embedder: Choice[Embedder]
    reliability: Reliability
    max_pixels: MaxPixels
    workers: PositiveInt | Literal["auto"]
    device: DeviceName
    trust_code: bool

    @property
    def extraction(self) -> Extraction:
        """How files become vectors: every face of theirs counts, and no pixel is kept."""
        return Extraction(
            detector=self.detector,
            faces="all",
            crop=self.crop,
            quality=self.quality,
            embedder=self.embedder,
            max_pixels=self.max_pixels,
            keep_crops=None,
            turns=self.turns,
            frames=self.frames,
        )


@dataclass(frozen=True)
class PredictSettings(AskedModel):
    """Everything that `vec2uage.predict` does with a case."""

    source: Annotated[CaseSource, CheckedBy(check_source)]
    known: Annotated[str, Field(min_length=1)] | None
    export: Choice[Export]
    keep_vectors: bool
    serve: Literal["none", "stdio"]
    overwrite: bool
    output: str

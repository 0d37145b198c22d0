"""The settings of `vec2uage.evaluate`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from vec2uage.base.device import DeviceName
from vec2uage.base.errors import UserError
from vec2uage.calibration.base import Calibration
from vec2uage.config.error_messages import as_typed
from vec2uage.config.settings import Choice, PositiveInt, settings
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation, check_split
from vec2uage.data.splits import Split

Share = Annotated[float, Field(gt=0, lt=1)]
Checkpoint = Annotated[str, Field(min_length=1)]
Checkpoints = Annotated[tuple[Checkpoint, ...], Field(min_length=1)]


@settings
class Foreign:
    """What a checkpoint of another program does not say about the vectors of its network."""

    normalization: Literal["l2", "none"]
    encoder: str | None


@settings
class Minors:
    """The guarantee with which minors are flagged; None: nobody is, unless the model comes with a threshold."""

    recall: Share | None
    confidence: Share


@settings
class Ensemble:
    """Which runs of a checkpoint that names several are taken together."""

    top: PositiveInt | None
    monitor: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Evaluation:
    """Which model is evaluated on which rows, and what is measured."""

    checkpoint: (
        Annotated[str, Field(min_length=1)]
        | Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    )
    part: str
    """`all`, or one that `split` gives."""
    cs: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    encoder_mismatch: Literal["refuse", "allow"]
    tta: Annotated[int, Field(ge=0)]
    store: str
    workers: PositiveInt | Literal["auto"]
    device: DeviceName
    trust_code: bool
    minors: Minors
    ensemble: Ensemble
    save_as: Annotated[str, Field(pattern=r"\.(safetensors|skops|stack)$")] | None
    statement: bool
    """Whether what was found is stated beside the model (`evaluation.statement`)."""
    foreign: Foreign
    calibrate: Choice[Calibration]
    dataset: Choice[Dataset]
    split: Choice[Split]
    augmentation: Choice[Augmentation]

    def __post_init__(self) -> None:
        check_split(self.split, self.dataset, ())
        if self.part not in (parts := ("all", *self.split.gives)):
            *some, last = map(as_typed, parts)
            raise UserError(f"part = {as_typed(self.part)}: should be {', '.join(some)} or {last}")
        fits = self.calibrate.fits or self.minors.recall is not None
        if fits:
            self._check_calibration_rows()
        if self.statement:
            self._check_statement(fits)

    def _check_calibration_rows(self) -> None:
        """Raise UserError where there are no faces to calibrate on, as far as the settings tell."""
        calibrate = self.calibrate
        if calibrate.path is not None:
            if self.tta:
                raise UserError("tta needs photographs, which the vectors of calibrate.path have not: set tta=0")
            return
        if calibrate.part not in self.split.gives:
            raise UserError(
                f"calibrate.part = {as_typed(calibrate.part)}: the split has no such part: set "
                "split.calibration_per_age as the model's run has it, or calibrate.path to a file of vectors"
            )
        if calibrate.part == self.part:
            raise UserError(
                f"calibrate.part = {as_typed(calibrate.part)}: those are the faces to judge, of which nothing would be "
                "known then: set part=test"
            )

    def _check_statement(self, fits: bool) -> None:
        """Raise UserError where what is found says nothing of what the model will predict."""
        if fits and self.save_as is None:
            raise UserError(
                "statement: what is fitted here is not in the model's file, of which it would speak: set save_as to a "
                "file for both"
            )
        if self.tta:
            raise UserError("statement: vec2uage.predict asks a model for each face as it is: set tta=0")
        if self.part == "train":
            raise UserError("statement: errors on faces that the model was trained on say nothing: set part=test")

"""What can be done to a face: Augmentor's operations (Bloice, Roth and Holzinger 2019), as typed settings.

Augmentor's `Pipeline` is not used: it draws from the process-wide generators in several threads, so that no two runs
agree, and rounds its draws to tenths, so that p = 0.5 happens in 55 of 100 cases.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from vec2uage.config.component import frozen
from vec2uage.config.settings import settings

Side = Annotated[int, Field(ge=1)]
Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
DIRECTIONS = {"horizontal": "LEFT_RIGHT", "vertical": "TOP_BOTTOM", "random": "RANDOM"}
UNUSABLE = ("Operation", "Custom", "Mixup")  # the base class, one that takes a function, one that takes two images


@settings
class Op(ABC):
    """One operation and how often it happens."""

    probability: Annotated[float, Field(ge=0, le=1)]
    """Of happening to a face; with `combine=one`, the operation's weight among the others."""

    @abstractmethod
    def operation(self) -> Any:
        """Return Augmentor's operation; the probability that it holds itself is never asked for."""

    def text(self) -> str:
        """Return the options as tables show them, without the probability."""
        return _text((name, value) for name, value in asdict(self).items() if name != "probability")


def _text(options: Iterable[tuple[str, Any]]) -> str:
    return " ".join(f"{name}={f'{value:g}' if isinstance(value, float) else value}" for name, value in options)


def _factors_rise(op: Any) -> Any:
    if op.min_factor > op.max_factor:
        raise ValueError(f"min_factor={op.min_factor:g} is above max_factor={op.max_factor:g}")
    return op


@settings
class Flip(Op):
    """Mirrors the face."""

    direction: Literal["horizontal", "vertical", "random"]

    def operation(self) -> Any:
        from Augmentor.Operations import Flip as Operation

        return Operation(1, DIRECTIONS[self.direction])


@settings
class Rotation(Op):
    """Turns the face by a random whole angle, cuts off the empty corners and enlarges what is left."""

    angle: Annotated[int, Field(ge=0, le=25)]
    """Largest angle to either side, in degrees; Augmentor allows no more than 25."""

    def operation(self) -> Any:
        from vec2uage.augmentation.rotation import KeptRotation  # Augmentor's RotateRange to the pixel, but faster

        return KeptRotation(self.angle)


@settings
class Zoom(Op):
    """Enlarges the middle of the face to the size of the whole."""

    min_factor: Annotated[float, Field(ge=1, le=10)]
    max_factor: Annotated[float, Field(ge=1, le=10)]
    """How much larger things become, drawn between both: 2 shows half of each side."""

    _rising = model_validator(mode="after")(_factors_rise)

    def operation(self) -> Any:
        from Augmentor.Operations import Zoom as Operation

        return Operation(1, self.min_factor, self.max_factor)


@settings
class RandomZoom(Op):
    """Enlarges a part of the face, at a random place, to the size of the whole."""

    side: Annotated[float, Field(ge=0.1, le=1)]
    """The part's side, as a share of the face's (Augmentor calls it `percentage_area`)."""

    def operation(self) -> Any:
        from Augmentor.Operations import ZoomRandom

        return ZoomRandom(1, self.side, False)


@settings
class RandomDistortion(Op):
    """Moves the inner corners of a grid at random, and the face with them."""

    grid_width: Side
    """Columns of the grid."""
    grid_height: Side
    magnitude: Annotated[int, Field(ge=0)]
    """Most pixels that a corner moves in each direction."""

    def operation(self) -> Any:
        from Augmentor.Operations import Distort

        return Distort(1, self.grid_width, self.grid_height, self.magnitude)


@settings
class _Enhancement(Op):
    """Changes a property of the colours by a random factor: 1 leaves the face as it is, 0 takes the property away."""

    min_factor: Factor
    max_factor: Factor

    _rising = model_validator(mode="after")(_factors_rise)


@settings
class Brightness(_Enhancement):
    """0 is black."""

    def operation(self) -> Any:
        from vec2uage.augmentation.levels import RandomLevels, black  # Augmentor's RandomBrightness, but faster

        return RandomLevels(self.min_factor, self.max_factor, black)


@settings
class RandomColour(_Enhancement):
    """Saturation: 0 is grey."""

    def operation(self) -> Any:
        from Augmentor.Operations import RandomColor

        return RandomColor(1, self.min_factor, self.max_factor)


@settings
class RandomContrast(_Enhancement):
    """0 is a plain grey."""

    def operation(self) -> Any:
        from vec2uage.augmentation.levels import RandomLevels, mean_level  # Augmentor's RandomContrast, but faster

        return RandomLevels(self.min_factor, self.max_factor, mean_level)


@settings
class RandomErasing(Op):
    """Puts noise over a rectangle at a random place (Zhong et al. 2017, arXiv:1708.04896).

    Augmentor takes its width for its height, so that in a face that is not square it can be cut by the border.
    """

    rectangle_area: Annotated[float, Field(gt=0.1, le=1)]
    """Longest side of the rectangle as a share of the face's side; the shortest is 0.1."""

    def operation(self) -> Any:
        from Augmentor.Operations import RandomErasing as Operation

        return Operation(1, self.rectangle_area)


@settings
class AugmentorOperation(Op):
    """Any other operation of Augmentor, by the name of its class in `Augmentor.Operations`."""

    operation_class: str
    options: tuple[tuple[str, Any], ...]
    """The arguments of that class, but for its probability; a mapping in YAML."""

    _pairs = field_validator("options", mode="before")(frozen)

    @model_validator(mode="after")
    def _fits(self) -> "AugmentorOperation":
        from Augmentor import Operations

        classes = {
            name: found
            for name, found in vars(Operations).items()
            if inspect.isclass(found) and issubclass(found, Operations.Operation) and name not in UNUSABLE
        }
        if self.operation_class not in classes:
            raise ValueError(
                f"operation_class={self.operation_class}: Augmentor has no such operation for one image; "
                f"allowed are: {', '.join(sorted(classes))}"
            )
        parameters = inspect.signature(classes[self.operation_class]).parameters
        given = {name for name, _ in self.options}
        needed = {name for name, p in parameters.items() if p.default is inspect.Parameter.empty} - {"probability"}
        if given - (parameters.keys() - {"probability"}) or needed - given:
            raise ValueError(
                f"options of {self.operation_class} are {', '.join(n for n in parameters if n != 'probability')}; "
                f"given are: {', '.join(sorted(given)) or 'none'}"
            )
        try:
            self.operation()
        except Exception as error:
            raise ValueError(f"{self.operation_class} does not take these options: {error}") from None
        return self

    def operation(self) -> Any:
        from Augmentor import Operations

        return getattr(Operations, self.operation_class)(probability=1, **dict(self.options))

    def text(self) -> str:
        """Return the operation's name and its options."""
        return f"{self.operation_class} {_text(self.options)}".strip()

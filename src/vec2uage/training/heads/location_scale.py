"""What the heads of distributions with a location and a scale share."""

from typing import Annotated

from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.training.heads.base import Head, Raw
from vec2uage.training.heads.scale import UNIT
from vec2uage.training.losses import PerSample


@settings
class LocationScale(Head):
    """Two outputs: the location, times `UNIT` years, and what `scale_and_slope` makes the scale of.

    A subclass defines `loss_of`, `loss_with_gradient` and `prediction`. `beta` weights gradients by the scale, as the
    subclasses say.
    """

    beta: Annotated[float, Field(ge=0, le=1)] = 0.5

    @property
    def cuda_graph_safe(self) -> bool:
        return True

    @property
    def outputs(self) -> int:
        return 2

    def point(self, raw: Raw) -> PerSample:
        return raw[..., 0] * UNIT

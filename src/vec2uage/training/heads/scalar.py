"""The paper's head: one output, which is the age in years (section 3.5)."""

import numpy as np
from jaxtyping import Float

from vec2uage.config.settings import settings
from vec2uage.predictions.point import Point
from vec2uage.training.heads.base import Head, Raw
from vec2uage.training.losses import MSE, Loss, PerSample


@settings
class Scalar(Head):
    """The network's one output is the age; the config group `loss` says what a wrong one costs."""

    loss: Loss = MSE()

    @property
    def cuda_graph_safe(self) -> bool:
        return self.loss.cuda_graph_safe

    @property
    def outputs(self) -> int:
        return 1

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        return self.loss(raw[..., 0], age)

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        losses, gradient = self.loss.with_gradient(raw[..., 0], age)
        return losses, gradient[..., None]

    def point(self, raw: Raw) -> PerSample:
        return raw[..., 0]

    def prediction(self, raw: Float[np.ndarray, "N 1"]) -> Point:
        return Point(raw[:, 0])

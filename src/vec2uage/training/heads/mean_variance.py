"""Mean-variance loss (Pan, Han, Shan and Chen 2018, "Mean-Variance Loss for Deep Age Estimation from a Face")."""

from typing import Annotated

from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.training.heads.base import Raw
from vec2uage.training.heads.grid import UNIT, Grid
from vec2uage.training.losses import PerSample


@settings
class MeanVariance(Grid):
    """Cross-entropy, plus what the mean of the distribution is off, plus its variance.

    With `p` the softmax of the outputs, `g` the grid, `w` the label's `shares`, `m = sum_g p_g g` the mean and
    `v = sum_g p_g (g - m)^2` the variance, the loss of a face of age `y` is

        -sum_g w_g log p_g  +  mean_weight (m - y)^2 / 2  +  variance_weight v

    and its derivative by the logits `p - w + p (mean_weight (m - y) (g - m) + variance_weight ((g - m)^2 - v))`.
    The weights are the paper's lambda 1 and 2.
    """

    mean_weight: Annotated[float, Field(ge=0)] = 0.2
    """Per square year."""
    variance_weight: Annotated[float, Field(ge=0)] = 0.05
    """Per square year."""

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        return self.loss_with_gradient(raw, age)[0]

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        log_p, shares, grid = (raw * UNIT).log_softmax(-1), self.shares(age), self.grid(raw)
        p = log_p.exp()
        mean = (p * grid).sum(-1)
        off, deviation = mean - age, grid - mean[..., None]
        squares = deviation.square()
        variance = (p * squares).sum(-1)
        cost = (self.mean_weight / 2) * off.square() + self.variance_weight * variance
        slope = (self.mean_weight * off)[..., None] * deviation
        slope = slope + self.variance_weight * (squares - variance[..., None])
        return cost - (shares * log_p).sum(-1), (p - shares + p * slope) * UNIT

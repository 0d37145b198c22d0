"""Label distributions: neighbouring ages share a label (Geng et al. 2013; DLDL-v2: Gao et al. 2018)."""

from typing import Annotated

from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.training.heads.base import Raw
from vec2uage.training.heads.grid import UNIT, Grid
from vec2uage.training.losses import PerSample


@settings
class LabelDistribution(Grid):
    """Kullback-Leibler divergence from a soft label, plus what the expected age is off.

    With `p` the softmax of the outputs, `g` the grid, `q` the normal density of deviation `sigma` around the label `y`,
    taken at the ages of the grid and made to sum to 1, and `m = sum_g p_g g`, the loss is

        sum_g q_g (log q_g - log p_g)  +  expectation_weight |m - y|

    and its derivative by the logits `p - q + expectation_weight sign(m - y) p (g - m)`. With `expectation_weight=0`
    it is the loss of Geng, Yin and Zhou 2013; with it, that of Gao, Zhou, Wu and Geng 2018 ("Age Estimation Using
    Expectation of Label Distribution Learning"), whose lambda it is. At the ends of the grid `q` is cut off, and so its
    mean lies further inside than the label: the second term works against that.
    """

    sigma: Annotated[float, Field(gt=0)] = 2.0
    """Years."""
    expectation_weight: Annotated[float, Field(ge=0)] = 1.0
    """Per year."""

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        return self.loss_with_gradient(raw, age)[0]

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        log_p, grid = (raw * UNIT).log_softmax(-1), self.grid(raw)
        log_q = ((age[..., None] - grid) / self.sigma).square().div(-2).log_softmax(-1)
        p, q = log_p.exp(), log_q.exp()
        mean = (p * grid).sum(-1)
        off = mean - age
        slope = (self.expectation_weight * off.sign())[..., None] * (grid - mean[..., None])
        return (q * (log_q - log_p)).sum(-1) + self.expectation_weight * off.abs(), (p - q + p * slope) * UNIT

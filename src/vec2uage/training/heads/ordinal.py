"""Ordinal regression: is this face older than 1, than 2, ...? (CORAL: Cao et al. 2020; CORN: Shi et al. 2021)."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vec2uage.config.settings import settings
from vec2uage.training.heads.base import Raw
from vec2uage.training.heads.grid import UNIT, Grid
from vec2uage.training.losses import PerSample


@settings
class Ordinal(Grid):
    """An output for every step of the grid: `s(z_k)` answers "older than age `g_k`?".

    Here `s` is the logistic function, and `z_k` the logit, `UNIT` times the output.

    The right answer `t_k` rises from 0 at `g_k` to 1 at `g_(k+1)`, so that a label of 7.25 years is 7 by 0.75 and 8 by
    0.25, as in the other heads of a grid. The loss is the sum over k of the binary cross-entropies, in nats.

    - `coral`: all outputs share their weights and have a bias each. `P(age > g_k)` is `s(z_k)`: in order once the
      biases are, as they are at a minimum of the loss; until then each is taken to be no more than the one before it.
    - `corn`: each step is asked of those who took the one before (by their share, `t_(k-1)`), so that `P(age > g_k)` is
      the product of `s(z_0), ..., s(z_k)`, and the loss is `-log P(label)`. The paper divides the sum over a batch by
      how many answers it takes, not by how many faces there are; the minimum is the same.

    The derivative by the logits is `s(z_k) - t_k`, times `t_(k-1)` for `corn`.
    """

    method: Literal["coral", "corn"] = "coral"

    @property
    def outputs(self) -> int:
        return super().outputs - 1

    @property
    def tied_outputs(self) -> bool:
        return self.method == "coral"

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        return self.loss_with_gradient(raw, age)[0]

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        answers, asked = self._answers(age)
        logits = raw * UNIT
        # Where an answer counts at all, the question is asked in full: `asked * answers` are the answers.
        costs = asked * (logits.clamp(min=0) + torch.log1p(torch.exp(-logits.abs()))) - answers * logits
        return costs.sum(-1), (asked * _logistic(logits) - answers) * UNIT

    def point(self, raw: Raw) -> PerSample:
        return self._older(raw).sum(-1) + self._ends()[0]

    def probabilities(self, raw: Float[Tensor, "*_ O"]) -> Float[Tensor, "*_ G"]:
        # As products: of an age that is all but ruled out, a difference of two probabilities near 1 leaves nothing.
        if self.method == "corn":
            logits = raw * UNIT
            return pad(_logistic(logits).cumprod(-1), (1, 0), value=1) * pad(_logistic(-logits), (0, 1), value=1)
        logits = (raw * UNIT).cummin(-1).values
        above, below = pad(logits, (1, 0), value=math.inf), pad(logits, (0, 1), value=-math.inf)
        return _logistic(above) * _logistic(-below) * torch.expm1(below - above).abs()

    def to_predict(self) -> dict[str, Any]:
        return {**super().to_predict(), "method": self.method}

    def _older(self, raw: Float[Tensor, "*_ O"]) -> Float[Tensor, "*_ O"]:
        """Return the probability of being older than each age of the grid but the last; it never rises."""
        answers = _logistic(raw * UNIT)
        return answers.cumprod(-1) if self.method == "corn" else answers.cummin(-1).values

    def _answers(self, age: PerSample) -> tuple[Float[Tensor, "K B O"], Float[Tensor, "K B O"]]:
        """Return the right answers, and how much each question is asked."""
        beyond = age[..., None] - self.grid(age)[:-1]
        # A step of the grid is a year, so that the answer before this one is this one a year later.
        asked = (beyond + 1).clamp(0, 1) if self.method == "corn" else torch.ones_like(beyond)
        return beyond.clamp(0, 1), asked


def _logistic(logits: Float[Tensor, "*_"]) -> Float[Tensor, "*_"]:
    """Return the logistic function; torch's own can round a number in another way at another place of a tensor."""
    decay = torch.exp(-logits.abs())
    return torch.where(logits < 0, decay, 1) / (1 + decay)

"""Every whole age as a class, learned by cross-entropy; the expectation is the age (DEX: Rothe et al. 2015)."""

from vec2uage.config.settings import settings
from vec2uage.training.heads.base import Raw
from vec2uage.training.heads.grid import UNIT, Grid
from vec2uage.training.losses import PerSample


@settings
class Classes(Grid):
    """Cross-entropy, in nats, between the softmax of the outputs and the label's `shares`.

    With `p` the softmax, `g` the grid and `w` the shares, the loss is `-sum_g w_g log p_g`, and its derivative by the
    logits, `UNIT` times the outputs, `p - w`. That all wrong years cost the same is what other heads mend.
    """

    def loss_of(self, raw: Raw, age: PerSample) -> PerSample:
        return self.loss_with_gradient(raw, age)[0]

    def loss_with_gradient(self, raw: Raw, age: PerSample) -> tuple[PerSample, Raw]:
        log_p, shares = (raw * UNIT).log_softmax(-1), self.shares(age)
        return -(shares * log_p).sum(-1), (log_p.exp() - shares) * UNIT

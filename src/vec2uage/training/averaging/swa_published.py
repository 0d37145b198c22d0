"""What the paper's authors ran as stochastic weight averaging, which averages nothing."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.averaging.base import Averaging
from vec2uage.training.optimizers.base import Tensors, TrainProgress


@settings
class SWAPublished(Averaging):
    """The "SWA" of the authors' released code: the learning rate is `swa_lr` from step `start` on, and that is all.

    torchcontrib's wrapper resets the learning rate at every step once `swa_start` steps have passed,
    whatever the schedule or the range test say, and the code never swapped its averages in. Its `swa_freq`
    (5) therefore changed nothing and is no option here.
    """

    start: Annotated[int, Field(ge=0)]
    swa_lr: Annotated[float, Field(gt=0)]
    per_run: ClassVar[tuple[str, ...]] = ("swa_lr",)

    def learning_rate(self, options: Tensors, scheduled: Tensor, progress: TrainProgress) -> Tensor:
        return scheduled if progress.step < self.start else options["swa_lr"]

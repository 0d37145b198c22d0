"""What an averaging is, and the one that averages nothing."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.optimizers.base import Tensors, TrainProgress


@settings
class Averaging:
    """Base of all averagings: the weights that train are those that are judged.

    `options` and `state` are dicts of tensors with the run axis first, as for optimisers.
    """

    per_run: ClassVar[tuple[str, ...]] = ()
    averages: ClassVar[bool] = False
    """Whether `evaluated` returns other weights than those that train."""

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        """Return the state before the first step."""
        return {}

    def has_begun(self, progress: TrainProgress) -> bool:
        """Tell whether averaging has begun; from then on the schedule stands still."""
        return False

    def learning_rate(
        self, options: Tensors, scheduled: Float[Tensor, " K"], progress: TrainProgress
    ) -> Float[Tensor, " K"]:
        """Return the learning rates of this step, given those of the schedule."""
        return scheduled

    def update(self, params: Tensors, state: Tensors, progress: TrainProgress) -> None:
        """Take the weights after a step into account, in place in `state`."""

    def evaluated(self, params: Tensors, state: Tensors) -> Tensors:
        """Return the weights that validation, early stopping and the saved model look at."""
        return params

    def warning(self, max_epochs: int, steps_per_epoch: int) -> str:
        """Return what a user should know who trains for so long, "" for nothing."""
        return ""

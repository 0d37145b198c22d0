"""What an averaging is, and the one that averages nothing."""

from typing import ClassVar

import torch
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

    def update(self, options: Tensors, params: Tensors, state: Tensors, progress: TrainProgress) -> None:
        """Take the weights after a step into account, in place in `state`."""

    def evaluated(self, params: Tensors, state: Tensors) -> Tensors:
        """Return the weights that validation, early stopping and the saved model look at."""
        return params

    def posterior(self, state: Tensors) -> Tensors:
        """Return what of the state `members` takes beside the weights; kept with those of the best epoch."""
        return {}

    def is_drawn(self, posterior: Tensors) -> bool:
        """Tell whether `members` draws weights from the posterior of a run, which is better than to have one alone."""
        return False

    def members(self, weights: Tensors, posterior: Tensors, generator: torch.Generator) -> Tensors:
        """Return the weights `[M, ...]` that make a run's model, given those of its best epoch `[...]`, on the CPU."""
        return {name: tensor[None] for name, tensor in weights.items()}

    def warning(self, max_epochs: int, steps_per_epoch: int) -> str:
        """Return what a user should know who trains for so long, "" for nothing."""
        return ""

"""SWAG, stochastic weight averaging as a Gaussian: a posterior of the weights (Maddox et al. 2019)."""

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from vec2uage.config.settings import PositiveInt, settings
from vec2uage.training.averaging.swa import SWA
from vec2uage.training.optimizers.base import Tensors, TrainProgress, expand_per_run, zeros_like


@settings
class SWAG(SWA):
    """SWA, and how the weights that it averages vary: the saved model is `samples` networks drawn from the posterior.

    That is a Gaussian about the average, with the covariance `(diagonal + D D^T / (r - 1)) / 2`: the variances of
    all weights that were averaged, and r deviations D, of the last `rank` of them from the average as it was then
    (equation 1 of the paper). While a run trains, its average is judged; once two weights have been averaged, only
    such epochs can be its best one.
    """

    rank: Annotated[int, Field(ge=2)]
    samples: PositiveInt
    averages: ClassVar[bool] = True

    def init(self, options: Tensors, params: Tensors) -> Tensors:
        deviations = {f"deviations/{name}": p.new_zeros(len(p), self.rank, *p.shape[1:]) for name, p in params.items()}
        return super().init(options, params) | zeros_like(params, "variance") | deviations

    @torch.no_grad()
    def update(self, options: Tensors, params: Tensors, state: Tensors, progress: TrainProgress) -> None:
        if not self.takes(progress):
            return
        before = {name: p - state[f"average/{name}"] for name, p in params.items()}
        super().update(options, params, state, progress)
        count = state["count"]
        slot = int(count[0] - 1) % self.rank  # all runs of a stack have averaged as often
        for name, p in params.items():
            # Welford's recurrence: the mean of squares less the square of the mean, as the paper has it, loses the
            # variance of weights that vary by a thousandth of themselves
            square = before[name].square() * expand_per_run(1 - 1 / count, p)
            state[f"variance/{name}"].lerp_(square, expand_per_run(1 / count, p))
            state[f"deviations/{name}"][:, slot] = p - state[f"average/{name}"]

    def posterior(self, state: Tensors) -> Tensors:
        return {name: tensor for name, tensor in state.items() if not name.startswith("average/")}

    def is_drawn(self, posterior: Tensors) -> bool:
        return bool(posterior) and int(posterior["count"]) > 1

    def members(self, weights: Tensors, posterior: Tensors, generator: torch.Generator) -> Tensors:
        if not self.is_drawn(posterior):
            return super().members(weights, posterior, generator)
        kept = min(int(posterior["count"]), self.rank)
        along = torch.randn(self.samples, kept, generator=generator) / math.sqrt(2 * (kept - 1))
        drawn = {}
        for name in sorted(weights):  # whatever order a checkpoint has them in
            deviations = posterior[f"deviations/{name}"][:kept]
            free = torch.randn(self.samples, *weights[name].shape, generator=generator)
            low_rank = torch.tensordot(along, deviations, 1)
            drawn[name] = weights[name] + low_rank + free * (posterior[f"variance/{name}"] / 2).sqrt()
        return drawn

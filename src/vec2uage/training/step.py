"""One training step and one evaluation of a stack: all arithmetic on parameters passes through here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.base.cores import threads
from vec2uage.predictions.metrics import scores
from vec2uage.predictions.point import Point
from vec2uage.training.batches import Rows
from vec2uage.training.losses import Loss
from vec2uage.training.models import Stacked
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors
from vec2uage.training.precision import products

EVALUATION_ROWS = 4096  # rows per forward pass without gradients: memory stays small, sums stay in one thread


@dataclass
class Network:
    """K networks being trained: the fixed parts, and the `[K, ...]` tensors that training changes."""

    forward: Stacked
    loss: Loss
    optimizer: StackedOptimizer
    set_training: Callable[[bool], Any]
    params: Tensors
    buffers: Tensors
    options: Tensors
    recordable: bool  # whether all of a step is what a CUDA graph can hold
    state: Any = field(default_factory=dict)
    recordings: dict[int, Any] = field(default_factory=dict)  # of steps by batch size, kept by `cuda_graph`

    def reset(self) -> None:
        """Forget the optimiser's state."""
        self.state = self.optimizer.init(self.options, self.params)
        self.recordings = {}

    def select(self, keep: Int[Tensor, " k"]) -> None:
        """Keep only these runs of the stack."""
        self.params = {name: p.detach()[keep].requires_grad_() for name, p in self.params.items()}
        self.buffers = {name: b[keep] for name, b in self.buffers.items()}
        self.options = {name: o[keep] for name, o in self.options.items()}
        self.state = self.optimizer.select(self.state, keep, self.params)
        self.recordings = {}

    def copy(self) -> "Network":
        """Return networks with the same weights that can be trained without touching these."""
        params = {name: p.detach().clone().requires_grad_() for name, p in self.params.items()}
        buffers = {name: b.clone() for name, b in self.buffers.items()}
        copied = Network(**{**self.__dict__, "params": params, "buffers": buffers})
        copied.reset()
        return copied


@torch.no_grad()
def train_step(
    network: Network, rows: Rows, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]
) -> Float[Tensor, "2 K"]:
    """Take one step on each run's own `rows[index]` with the learning rates `lr` (float64).

    Return the summed losses and the summed absolute errors (years) of each run's batch, in float64. Nothing here waits
    for a number from the device, so that `cuda_graph` can record all of it.
    """
    x, age = rows.gather(index)
    with products(network.forward.precision):
        predicted, backward = network.forward.backward(network.params, network.buffers, x)
        losses, gradient = network.loss.with_gradient(predicted, age)
        of_mean = gradient * (1 / index.shape[1])
        network.optimizer.descend(network.options, network.params, backward, of_mean, network.state, lr)
    return torch.stack([losses, (predicted - age).abs()]).sum(2, dtype=torch.float64)


@torch.no_grad()
def predict_rows(network: Network, weights: Tensors, rows: Rows) -> Float[Tensor, " N"]:
    """Predict ages with the weights of one run, `[...]` without a run axis.

    Always one run at a time, and on one thread of a CPU: the result cannot depend on the stack or the plan, and costs
    under 2% of training.
    """
    network.set_training(False)
    state = {name: tensor[None] for name, tensor in weights.items()}
    with threads(1):
        parts = [network.forward(state, x[None])[0] for x in rows.x.split(EVALUATION_ROWS)]
    network.set_training(True)
    return torch.cat(parts)


def part_scores(
    part: str,
    network: Network,
    predicted: Float[Tensor, " N"],
    age: Float[Tensor, " N"],
    batch_size: int | None = None,
) -> dict[str, float]:
    """Return mean loss and metrics of a part; every row weighs the same, or with `batch_size` every batch."""
    losses = network.loss(predicted[None], age[None])[0].double()
    point, ages = Point(predicted.cpu().numpy()), age.cpu().numpy()
    if batch_size is not None:
        blocks = [slice(first, first + batch_size) for first in range(0, len(age), batch_size)]
        loss = float(torch.stack([losses[block].mean() for block in blocks]).mean())
        measured = [scores(ages[block], point.take(block)) for block in blocks]
        means = {name: float(np.mean([each[name] for each in measured])) for name in measured[0]}
    else:
        loss = sum(float(block.sum()) for block in losses.split(EVALUATION_ROWS)) / len(age)
        means = scores(ages, point)
    return {f"{part}/loss": loss, **{f"{part}/{name}": mean for name, mean in means.items()}}

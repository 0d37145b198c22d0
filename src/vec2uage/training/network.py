"""The networks of a stack: their tensors, what they give for faces, and how good that is."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.base.cores import threads
from vec2uage.predictions.metrics import scores
from vec2uage.training.heads.base import Head
from vec2uage.training.inputs import Inputs
from vec2uage.training.models import Stacked
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors

EVALUATION_ROWS = 4096  # rows per forward pass without gradients: memory stays small, sums stay in one thread


@dataclass
class Network:
    """K networks being trained: the fixed parts, and the `[K, ...]` tensors that training changes."""

    forward: Stacked
    head: Head
    optimizer: StackedOptimizer
    set_training: Callable[[bool], Any]
    params: Tensors
    buffers: Tensors
    options: Tensors  # of the optimiser
    cuda_graph_safe: bool  # whether all of a step is what a CUDA graph can hold
    state: Any = field(default_factory=dict)
    captured_steps: dict[int, Any] = field(default_factory=dict)  # by batch size, kept by `cuda_graph`

    def reset(self) -> None:
        """Forget the optimiser's state."""
        self.state = self.optimizer.init(self.options, self.params)
        self.captured_steps = {}

    def select(self, keep: Int[Tensor, " k"]) -> None:
        """Keep only these runs of the stack."""
        self.params = {name: p.detach()[keep].requires_grad_() for name, p in self.params.items()}
        self.buffers = {name: b[keep] for name, b in self.buffers.items()}
        self.options = {name: o[keep] for name, o in self.options.items()}
        self.state = self.optimizer.select(self.state, keep, self.params)
        self.captured_steps = {}

    def copy(self) -> "Network":
        """Return networks with the same weights that can be trained without touching these."""
        params = {name: p.detach().clone().requires_grad_() for name, p in self.params.items()}
        buffers = {name: b.clone() for name, b in self.buffers.items()}
        copied = replace(self, params=params, buffers=buffers)
        copied.reset()
        return copied


@torch.no_grad()
def evaluate(network: Network, weights: Tensors, inputs: Inputs) -> Float[Tensor, "N O"]:
    """Return what the network of one run gives for all faces, with `weights` `[...]` without a run axis.

    Always one run at a time, and on one thread of a CPU: the result cannot depend on the stack or the plan, and costs
    under 2% of training.
    """
    network.set_training(False)
    state = {name: tensor[None] for name, tensor in weights.items()}
    with threads(1):
        blocks = [network.forward(state, x[None])[0] for x in inputs.blocks(EVALUATION_ROWS)]
    network.set_training(True)
    return torch.cat(blocks)


def part_scores(
    part: str,
    head: Head,
    raw: Float[Tensor, "N O"],
    age: Float[Tensor, " N"],
    batch_size: int | None = None,
    every_epoch: bool = False,
) -> dict[str, float]:
    """Return mean loss and metrics of a part, with `every_epoch` those of every epoch alone.

    Every row weighs the same, or with `batch_size` every batch (`scores` tells of which metrics).
    """
    losses = head.loss_of(raw[None], age[None])[0].double()
    if batch_size is None:
        loss = sum(float(block.sum()) for block in losses.split(EVALUATION_ROWS)) / len(age)
    else:
        loss = float(torch.stack([batch.mean() for batch in losses.split(batch_size)]).mean())
    measured = scores(age.cpu().numpy(), head.prediction(raw.cpu().numpy()), batch_size, every_epoch)
    return {f"{part}/{name}": score for name, score in {"loss": loss, **measured}.items()}

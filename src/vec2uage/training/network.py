"""The networks of a stack: their tensors, what they give for faces, and how good that is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.base.cores import threads
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.metrics import scores
from vec2uage.predictions.mixture import mix
from vec2uage.training.heads.base import Head
from vec2uage.training.inputs import Inputs, weights_of
from vec2uage.training.models import Stacked
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors
from vec2uage.training.regularization import Perturbation

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
    perturbation: Perturbation = field(default_factory=Perturbation)  # of the batches of this epoch
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
def outputs(forward: Stacked, members: Tensors, blocks: Iterable[Float[Tensor, "n ..."]]) -> Float[Tensor, "M N O"]:
    """Return what M networks, with the weights `members` `[M, ...]`, give for all faces.

    Always one network at a time, and on one thread of a CPU: the result cannot depend on the stack or the plan, nor on
    the other members, and costs under 2% of training. A stack of them would be no faster.
    """
    first = next(iter(members.values()))
    of_members = [{name: tensor[m, None] for name, tensor in members.items()} for m in range(len(first))]
    with threads(1):
        raw = [[forward(own, x[None])[0] for own in of_members] for x in blocks]
    return torch.stack([torch.cat(own) for own in zip(*raw, strict=True)])


def evaluate(network: Network, members: Tensors, inputs: Inputs) -> Float[Tensor, "M N O"]:
    """Return what the M networks of one run, with weights `[M, ...]`, give for all faces."""
    network.set_training(False)
    on_device = {name: tensor.to(inputs.age.device) for name, tensor in members.items()}
    raw = outputs(network.forward, on_device, inputs.blocks(EVALUATION_ROWS))
    network.set_training(True)
    return raw


def prediction(head: Head, raw: Float[Tensor, "M N O"]) -> Prediction:
    """Return what M networks say of N faces: of several, the mixture of their predictions."""
    return mix([head.prediction(own) for own in raw.cpu().numpy()])


def part_scores(
    part: str,
    head: Head,
    raw: Float[Tensor, "M N O"],
    inputs: Inputs,
    batch_size: int | None = None,
    every_epoch: bool = False,
) -> dict[str, float]:
    """Return mean loss and metrics of a part, with `every_epoch` those of every epoch alone.

    Every row counts by its weight, or with `batch_size` every batch the same (`scores` tells of which metrics). The
    loss is the mean of those of the M networks; the metrics are of what they say together.
    """
    age, weight = inputs.age, inputs.weight
    losses = head.loss_of(raw, age.expand(raw.shape[:2])).double().mean(0)
    if weight is not None:
        losses = losses * weight
    if batch_size is None:
        loss = sum(float(block.sum()) for block in losses.split(EVALUATION_ROWS)) / len(age)
    else:
        loss = float(torch.stack([batch.mean() for batch in losses.split(batch_size)]).mean())
    measured = scores(age.cpu().numpy(), prediction(head, raw), batch_size, every_epoch, weights_of(inputs))
    return {f"{part}/{name}": score for name, score in {"loss": loss, **measured}.items()}

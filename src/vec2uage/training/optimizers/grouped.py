"""One optimiser for groups of parameters, each with a learning rate and a weight decay of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vec2uage.base.errors import UserError
from vec2uage.training.optimizers.base import StackedOptimizer, Tensors


@dataclass(frozen=True)
class Group:
    """Parameters, by name, that learn alike."""

    names: tuple[str, ...]
    lr: float = 1.0
    """Their learning rate as a share of the run's."""
    weight_decay: float | None = None
    """None: that of the optimiser."""


@dataclass(frozen=True)
class Pull:
    """L2-SP (Li et al. 2018, arXiv:1802.01483): a loss of `strength / 2` times the squared distance to first weights.

    It is added to the gradients, as L2 weight decay is, and so scaled by optimisers that scale these.
    """

    strength: float = 0.0
    first: Tensors = field(default_factory=dict)
    """`[...]`, without the run axis."""


class Grouped(StackedOptimizer):
    """Takes the steps of `optimizer` for each of `groups`, which are all parameters of a network, each once.

    It is made by a network for itself, and so has no options of its own: `options` are those of `optimizer`. State is
    that of every group, by its position. Raises UserError where a group has a weight decay and the optimiser none.
    """

    def __init__(self, optimizer: StackedOptimizer, groups: Sequence[Group], pull: Pull) -> None:
        if "weight_decay" not in optimizer.per_run and any(group.weight_decay is not None for group in groups):
            raise UserError("model.encoder_weight_decay: this optimizer has no weight_decay: set it to null")
        self.optimizer, self.groups, self.pull = optimizer, tuple(groups), pull

    def init(self, options: Tensors, params: Tensors) -> list[Any]:
        return [self.optimizer.init(_options(group, options), _own(group, params)) for group in self.groups]

    @torch.no_grad()
    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: list[Any], lr: Tensor) -> None:
        for name, first in self.pull.first.items() if self.pull.strength else ():
            away = params[name] - first.to(params[name].device)
            grads[name] = grads[name].add(away, alpha=self.pull.strength)
        for group, of_group in zip(self.groups, state, strict=True):
            own = _own(group, params), _own(group, grads)
            self.optimizer.step(_options(group, options), *own, of_group, lr * group.lr)

    def select(self, state: list[Any], keep: Tensor, params: Tensors) -> list[Any]:
        return [
            self.optimizer.select(of_group, keep, _own(group, params))
            for group, of_group in zip(self.groups, state, strict=True)
        ]

    def unstack_state(self, state: list[Any], runs: int) -> list[Tensors]:
        of_groups = [self.optimizer.unstack_state(of_group, runs) for of_group in state]
        return [
            {f"{position}/{name}": tensor for position, own in enumerate(of_run) for name, tensor in own.items()}
            for of_run in zip(*of_groups, strict=True)
        ]

    def stack_state(self, options: Tensors, params: Tensors, saved: Sequence[Tensors]) -> list[Any]:
        def part(own: Tensors, position: int) -> Tensors:
            prefix = f"{position}/"
            return {name.removeprefix(prefix): t for name, t in own.items() if name.startswith(prefix)}

        return [
            self.optimizer.stack_state(
                _options(group, options), _own(group, params), [part(own, position) for own in saved]
            )
            for position, group in enumerate(self.groups)
        ]


def _own(group: Group, tensors: Tensors) -> Tensors:
    return {name: tensors[name] for name in group.names}


def _options(group: Group, options: Tensors) -> Tensors:
    if group.weight_decay is None:
        return options
    return options | {"weight_decay": torch.full_like(options["weight_decay"], group.weight_decay)}

"""The runs of a stack, and how some of them are taken out."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from vec2uage.training.network import Network
from vec2uage.training.optimizers.base import Tensors


@dataclass
class PerRun:
    """The options and the state that a schedule, a stopping rule or an averaging has of each run, run axis first."""

    options: Tensors
    state: Tensors

    def select(self, keep: Int[Tensor, " k"]) -> None:
        """Keep only these runs."""
        self.options = {name: tensor[keep] for name, tensor in self.options.items()}
        self.state = {name: tensor[keep] for name, tensor in self.state.items()}


@dataclass
class Stack:
    """The runs still training. Every tensor has the run axis first, so that `select` is one indexing.

    What is one number a run stays on the CPU, whatever the device: nothing waits for a device to know its rate.
    """

    runs: list[int]
    orders: list[torch.Generator]
    network: Network
    lr: Tensors  # "base": before any schedule; "scheduled": what the schedule made of it
    averaging: PerRun
    schedule: PerRun
    stopping: PerRun

    def select(self, positions: list[int]) -> None:
        """Keep only the runs at these positions."""
        self.runs = [self.runs[p] for p in positions]
        self.orders = [self.orders[p] for p in positions]
        if not self.runs:
            return
        keep = torch.tensor(positions)
        self.network.select(keep)
        self.lr = {name: rates[keep] for name, rates in self.lr.items()}
        for policy in (self.averaging, self.schedule, self.stopping):
            policy.select(keep)

"""Whole training steps as CUDA graphs: recorded once per batch size, then started with one call each."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.training.batches import Rows
from vec2uage.training.step import Network, train_step


@dataclass(frozen=True)
class Recording:
    """A step that reads `index` and `lr` and leaves what `train_step` returns in `sums`, always in the same memory."""

    graph: torch.cuda.CUDAGraph
    index: Int[Tensor, "K B"]
    lr: Float[Tensor, " K"]
    sums: Float[Tensor, "2 K"]

    def replay(self, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]) -> Float[Tensor, "2 K"]:
        self.index.copy_(index)
        self.lr.copy_(lr)
        self.graph.replay()
        return self.sums


def take_step(network: Network, rows: Rows, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]) -> Float[Tensor, "2 K"]:
    """Do what `train_step` does; on CUDA, from the second step of a batch size on, by replaying a recording.

    What it returns holds until the next step.
    """
    batch = index.shape[1]
    if index.device.type != "cuda" or not network.optimizer.recordable:
        return train_step(network, rows, index, lr)
    with torch.cuda.device(index.device):
        if batch not in network.recordings:
            network.recordings[batch] = None
            return _aside(network, rows, index, lr)
        if network.recordings[batch] is None:
            network.recordings[batch] = _record(network, rows, index, lr)
        sums: Tensor = network.recordings[batch].replay(index, lr)
        return sums


def _aside(network: Network, rows: Rows, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]) -> Float[Tensor, "2 K"]:
    """Take one step in another stream, in which libraries load what they may not load while a graph is recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        sums = train_step(network, rows, index, lr)
    torch.cuda.current_stream().wait_stream(stream)
    return sums


def _record(network: Network, rows: Rows, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]) -> Recording:
    """Record a step without taking it."""
    index, lr = index.clone(), lr.to(index.device, copy=True)
    graph = torch.cuda.CUDAGraph()
    # Other threads may train on other devices meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        sums = train_step(network, rows, index, lr)
    return Recording(graph, index, lr, sums)

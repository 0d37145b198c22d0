"""Whole training steps as CUDA graphs: recorded once per batch size, then started with one call each."""

import threading
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.training.batches import Rows
from vec2uage.training.step import Network, train_step

# Steps that are not replayed use the same side streams (`optimizers.base.side_by_side`) in every thread.
_unrecorded = threading.Lock()


@dataclass
class Recording:
    """A step that reads `index` and `lr` and leaves what `train_step` returns in `sums`, always in the same memory.

    `rates` are the learning rates on the CPU that `lr` holds.
    """

    graph: torch.cuda.CUDAGraph
    index: Int[Tensor, "K B"]
    rates: Float[Tensor, " K"]
    lr: Float[Tensor, " K"]
    sums: Float[Tensor, "2 K"]

    def replay(self, index: Int[Tensor, "K B"], rates: Float[Tensor, " K"]) -> Float[Tensor, "2 K"]:
        self.index.copy_(index)
        if not torch.equal(rates, self.rates):
            self.rates = rates.clone()
            # From pinned memory, or the copy would wait until the device has done all steps before.
            self.lr.copy_(self.rates.pin_memory(), non_blocking=True)
        self.graph.replay()
        return self.sums


def take_step(network: Network, rows: Rows, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]) -> Float[Tensor, "2 K"]:
    """Do what `train_step` does; on CUDA, from the second step of a batch size on, by replaying a recording.

    A replay repeats what the GPU did, not what Python decided: only networks whose model, loss and optimiser are
    `recordable` have one. Such never wait for a number from the GPU, and do nothing in Python that could be another
    thing in the next step: count, draw, branch on values. CUDA must be in a stream other than its default one, which
    cannot be recorded. What is returned holds until the next step.
    """
    if index.device.type != "cuda":
        return train_step(network, rows, index, lr)
    batch = index.shape[1]
    recording = network.recordings.get(batch)
    if recording is None:
        with _unrecorded:
            # In a first step libraries load what they may not load while one is recorded.
            if not network.recordable or batch not in network.recordings:
                network.recordings[batch] = None
                return train_step(network, rows, index, lr)
            recording = network.recordings[batch] = _record(network, rows, index, lr)
    sums: Tensor = recording.replay(index, lr)
    return sums


def free_unused_memory() -> None:
    """Give back what CUDA's allocator keeps for later, which it must not do while another thread records a step."""
    with _unrecorded:
        torch.cuda.empty_cache()


def _record(network: Network, rows: Rows, index: Int[Tensor, "K B"], rates: Float[Tensor, " K"]) -> Recording:
    """Record a step without taking it."""
    index, lr = index.clone(), rates.to(index.device, copy=True)
    graph = torch.cuda.CUDAGraph()
    # In this thread's own stream, which no other thread uses; others may train meanwhile.
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
        sums = train_step(network, rows, index, lr)
    return Recording(graph, index, rates.clone(), lr, sums)

"""Whole training steps as CUDA graphs: captured once per batch size, then started with one call each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vec2uage.training.inputs import Inputs
from vec2uage.training.network import Network

# Steps that are not replayed use the same side streams (`optimizers.base.side_by_side`) in every thread.
_uncaptured = threading.Lock()


Step = Callable[[Network, Inputs, Tensor, Tensor], Tensor]  # `trainer.train_step`


@dataclass
class CapturedStep:
    """A step that reads `index` and `lr` and leaves what a step returns in `sums`, always in the same memory.

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


def graphed_step(
    step: Step, network: Network, inputs: Inputs, index: Int[Tensor, "K B"], lr: Float[Tensor, " K"]
) -> Float[Tensor, "2 K"]:
    """Do what `step` does; on CUDA, from the second step of a batch size on, by replaying one that was captured.

    A replay repeats what the GPU did, not what Python decided: only networks whose model, head and optimiser are
    `cuda_graph_safe` have one. These never wait for a number from the GPU, and do nothing in Python that could be
    another thing in the next step: count, draw, branch on values. CUDA must be in a stream other than its default one,
    which cannot be captured. What is returned holds until the next step.
    """
    if index.device.type != "cuda":
        return step(network, inputs, index, lr)
    batch = index.shape[1]
    captured = network.captured_steps.get(batch)
    if captured is None:
        with _uncaptured:
            # In a first step libraries load what they may not load while one is captured.
            if not network.cuda_graph_safe or batch not in network.captured_steps:
                network.captured_steps[batch] = None
                return step(network, inputs, index, lr)
            captured = network.captured_steps[batch] = _capture(step, network, inputs, index, lr)
    sums: Tensor = captured.replay(index, lr)
    return sums


def free_unused_memory() -> None:
    """Give back what CUDA's allocator keeps for later, which it must not do while another thread captures a step."""
    with _uncaptured:
        torch.cuda.empty_cache()


def _capture(
    step: Step, network: Network, inputs: Inputs, index: Int[Tensor, "K B"], rates: Float[Tensor, " K"]
) -> CapturedStep:
    """Capture a step without taking it."""
    index, lr = index.clone(), rates.to(index.device, copy=True)
    graph = torch.cuda.CUDAGraph()
    # In this thread's own stream, which no other thread uses; others may train meanwhile.
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
        sums = step(network, inputs, index, lr)
    return CapturedStep(graph, index, rates.clone(), lr, sums)

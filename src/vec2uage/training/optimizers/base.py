"""What an optimiser of stacked runs is: settings, and state as tensors."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from vec2uage.config.settings import settings
from vec2uage.training.gradients import Backward

Tensors = dict[str, Tensor]
T = TypeVar("T")


@dataclass(frozen=True)
class TrainProgress:
    """Where training stands; all runs of a stack share it. Counts start at 0, `step` counts all epochs."""

    epoch: int
    step: int
    steps_per_epoch: int
    max_epochs: int

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.max_epochs


def expand_per_run(per_run: Tensor, like: Tensor) -> Tensor:
    """Shape a `[K]` quantity so that it multiplies `like` `[K, ...]` run by run, in the dtype of `like`."""
    return per_run.to(like.dtype).view(-1, *[1] * (like.ndim - 1))


@settings
class StackedOptimizer:
    """Base of all optimisers. `per_run` names the options that may differ between the runs of one stack.

    The trainer hands these options back as `options`, a dict of `[K]` float64 tensors on the CPU. State is a dict of
    `[K, ...]` tensors, so that removing finished runs is one indexing for every optimiser.
    """

    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    per_run: ClassVar[tuple[str, ...]] = ("lr",)
    cuda_graph_safe: ClassVar[bool] = False
    """Whether a CUDA graph can hold `apply_backward` (see `cuda_graph.graphed_step`)."""

    def variant(self) -> Hashable:
        """Return what, beside all that is not in `per_run`, runs must have in common to be one stack."""
        return None

    def init(self, options: Tensors, params: Tensors) -> Any:
        """Return the state before the first step."""
        return {}

    def step(self, options: Tensors, params: Tensors, grads: Tensors, state: Any, lr: Tensor) -> None:
        """Update `params` in place from `grads`, both `[K, ...]`, with learning rates `lr` `[K]`."""
        raise TypeError(f"{type(self).__name__} must define step()")

    def apply_backward(
        self,
        options: Tensors,
        params: Tensors,
        backward: Backward,
        grad: Float[Tensor, "K B O"],
        state: Any,
        lr: Tensor,
    ) -> None:
        """Take one step in place: pass `grad`, the derivative of the loss by the outputs, back to the `params`.

        For optimisers that can add a gradient as it is multiplied out; all others define `step`.
        """
        self.step(options, params, {name: gradient.dense() for name, gradient in backward(grad)}, state, lr)

    def select(self, state: Any, keep: Tensor, params: Tensors) -> Any:
        """Return the state of the runs `keep` (indices); `params` are already reduced to them."""
        return {name: tensor[keep] for name, tensor in state.items()}

    def unstack_state(self, state: Any, runs: int) -> list[Tensors]:
        """Return each run's part of the state as named tensors on the CPU, to be written to a file."""
        whole = {name: tensor.cpu() for name, tensor in state.items()}
        return [{name: tensor[run] for name, tensor in whole.items()} for run in range(runs)]

    def stack_state(self, options: Tensors, params: Tensors, saved: Sequence[Tensors]) -> Any:
        """Return the state that `unstack_state` took apart; what a run's stack did not need begins as in `init`."""
        return {
            name: torch.stack([own.get(name, first).to(first) for own, first in zip(saved, tensor, strict=True)])
            for name, tensor in self.init(options, params).items()
        }


def zeros_like(params: Tensors, prefix: str) -> Tensors:
    """Return a zero tensor per parameter under the key `prefix/name`."""
    return {f"{prefix}/{name}": torch.zeros_like(p, requires_grad=False) for name, p in params.items()}


def rates(lr: Tensor, params: Tensors) -> Tensor:
    """Return learning rates `[K]` as the weights have it: float32, and on their device."""
    return lr.to(next(iter(params.values())).device, torch.float32)


def steps_taken(params: Tensors) -> Tensor:
    """Return each run's count of steps, `[K] float32` as torch's fused optimisers have it."""
    first = next(iter(params.values()))
    return torch.zeros(len(first), device=first.device)


@dataclass
class OneRun:
    """What torch's fused optimisers take of one run: lists of its tensors, in the order of the parameters."""

    params: list[Tensor]
    grads: list[Tensor]
    state: dict[str, list[Tensor]]
    """By quantity, such as `first`."""
    steps: list[Tensor]
    """The count of steps with this one: a tensor for each weight, all the same."""
    lr: Tensor
    options: dict[str, float]
    """All that may differ between runs, but the learning rate."""


def run_by_run(
    options: Tensors, params: Tensors, grads: Tensors, state: Tensors, lr: Tensor, quantities: Sequence[str]
) -> Iterator[OneRun]:
    """Count a step, and yield each run with these quantities of its state; on a GPU in a stream of its own."""
    count = state["steps"].add_(1)
    own_params, own_grads = each_run(params), each_run(params, grads)
    own_state = {quantity: each_run(params, state, f"{quantity}/") for quantity in quantities}
    own_options = {name: values.tolist() for name, values in options.items() if name != "lr"}
    runs = (
        OneRun(
            own_params[k],
            own_grads[k],
            {quantity: tensors[k] for quantity, tensors in own_state.items()},
            [count[k]] * len(params),
            own_lr,
            {name: values[k] for name, values in own_options.items()},
        )
        for k, own_lr in enumerate(rates(lr, params))
    )
    return side_by_side(runs, count.device)


def side_by_side(runs: Iterable[T], device: torch.device) -> Iterator[T]:
    """Yield what belongs to each run; on CUDA each in a stream of its own, as one run's update does not fill a GPU."""
    if device.type != "cuda":
        yield from runs
        return
    here, branches = torch.cuda.current_stream(device), []
    for run in runs:
        branch = torch.cuda.Stream(device, priority=-1)  # of torch's other pool: stacks train in streams of the first
        branch.wait_stream(here)
        with torch.cuda.stream(branch):
            yield run
        branches.append(branch)
    for branch in branches:
        here.wait_stream(branch)


def each_run(params: Tensors, tensors: Tensors | None = None, prefix: str = "") -> list[list[Tensor]]:
    """Return for each run a list of its own tensors, views in the order of `params`: what fused optimisers take."""
    tensors = params if tensors is None else tensors
    return [list(own) for own in zip(*(tensors[prefix + name].unbind() for name in params), strict=True)]

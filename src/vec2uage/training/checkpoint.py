"""A run between two epochs as one file, with all that the next epoch depends on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Outcome
from vec2uage.training.range_test import Curve
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack import Stack

_FORMAT = "vec2uage-state-1"
_ARRAYS = ("weights", "predictions", "curve")  # of an outcome, kept as tensors
_CURVE = ("lr", "loss", "smoothed")
_PER_RUN = ("lr", "schedule_state", "stopping_state")  # dicts of `[K]` tensors of a stack


@dataclass
class Checkpoint:
    """One run between two epochs: its outcome so far, and its part of every tensor of the stack, on the CPU.

    Names: `params/...`, `buffers/...`, `optimizer/...`, `lr/...`, `schedule_state/...`, `stopping_state/...` and
    `order`, the state of the generator that draws the order of the data.
    """

    outcome: Outcome
    tensors: Tensors

    def part(self, prefix: str) -> Tensors:
        """Return the tensors whose names begin with `prefix/`, without that."""
        return {name[len(prefix) + 1 :]: t for name, t in self.tensors.items() if name.startswith(f"{prefix}/")}


@dataclass(frozen=True)
class Header:
    """Whose state a file holds: readable without its tensors. `epochs` are those trained so far."""

    config_hash: str
    code: str
    data_fingerprint: str
    started: str
    epochs: int


def snapshot(stack: Stack, outcomes: Sequence[Outcome]) -> list[Checkpoint]:
    """Return the states of all runs of a stack, in its order; on a CPU they share the stack's memory."""
    network = stack.network
    whole = {f"params/{name}": p.detach() for name, p in network.params.items()}
    whole |= {f"buffers/{name}": b for name, b in network.buffers.items()}
    for group in _PER_RUN:
        # Copies: where there is no schedule, the scheduled rate is the base rate, and a file holds no tensor twice.
        whole |= {f"{group}/{name}": t.clone() for name, t in getattr(stack, group).items()}
    whole = {name: tensor.cpu() for name, tensor in whole.items()}
    states = []
    optimizers = network.optimizer.unstack_state(network.state, len(stack.runs))
    for position, (run, optimizer) in enumerate(zip(stack.runs, optimizers, strict=True)):
        own = {name: tensor[position] for name, tensor in whole.items()}
        own |= {f"optimizer/{name}": tensor for name, tensor in optimizer.items()}
        states.append(Checkpoint(outcomes[run], own | {"order": stack.orders[position].get_state()}))
    return states


def restore(stack: Stack, states: Sequence[Checkpoint], runs: Sequence[RunSettings]) -> None:
    """Put all runs of a newly assembled stack where `states` left them.

    Raises UserError if a state is of another network or optimiser.
    """
    network = stack.network

    def stacked(name: str, like: Tensor) -> Tensor:
        tensor = torch.stack([state.tensors[name] for state in states]).to(like.device)
        if (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
            raise ValueError(f"{name} is {list(tensor.shape)}, not {list(like.shape)}")
        return tensor

    try:
        network.params = {n: stacked(f"params/{n}", p).requires_grad_() for n, p in network.params.items()}
        network.buffers = {n: stacked(f"buffers/{n}", b) for n, b in network.buffers.items()}
        saved = [state.part("optimizer") for state in states]
        network.state = network.optimizer.stack_state(network.options, network.params, saved)
        for group in _PER_RUN:
            setattr(stack, group, {n: stacked(f"{group}/{n}", t) for n, t in getattr(stack, group).items()})
        for order, state in zip(stack.orders, states, strict=True):
            order.set_state(state.tensors["order"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the saved state of seed {runs[0].seed} is not of this model and optimizer ({error}): "
            "resume=false trains anew"
        ) from None


def save(path: Path, state: Checkpoint, header: Header) -> None:
    """Write a state to `path`, whole or not at all."""
    outcome = state.outcome
    tensors = dict(state.tensors)
    tensors |= {f"weights/{name}": tensor.cpu() for name, tensor in outcome.weights.items()}
    if outcome.curve is not None:
        tensors |= {f"curve/{name}": torch.from_numpy(getattr(outcome.curve, name)) for name in _CURVE}
    known = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in _ARRAYS}
    suggestion = None if outcome.curve is None else outcome.curve.suggestion
    metadata = {"format": _FORMAT, "header": asdict(header), "outcome": known, "suggestion": suggestion}
    content = to_bytes({n: t.contiguous() for n, t in tensors.items()}, {"vec2uage": json.dumps(metadata)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_header(path: Path) -> Header:
    """Read whose state a file holds; raises UserError if it is damaged or of another version."""
    return _read(path, tensors=False)[0]


def load(path: Path) -> Checkpoint:
    """Read a state that `save` wrote; raises UserError if it is damaged or of another version."""
    return _read(path, tensors=True)[1]


@dataclass(frozen=True)
class _Metadata:
    """What the file says beside its tensors; from a file, so checked before it is used."""

    header: Header
    outcome: dict[str, Any]
    suggestion: float | None


_SCHEMA = TypeAdapter(_Metadata)


def _read(path: Path, tensors: bool) -> tuple[Header, Checkpoint]:
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get("vec2uage", "{}"))
            names = list(file.keys()) if tensors else []
            read = {name: file.get_tensor(name) for name in names}
        if description.pop("format", None) != _FORMAT:
            raise UserError(f"{path} is no state of a run written by this version of vec2uage")
        metadata = _SCHEMA.validate_python(description)
        outcome = Outcome(**metadata.outcome)
    except (SafetensorError, OSError, json.JSONDecodeError, AttributeError, TypeError, ValidationError) as error:
        raise UserError(f"{path} is damaged ({str(error).splitlines()[0]}): without it the run begins anew") from None
    state = Checkpoint(outcome, read)
    outcome.weights = state.part("weights")
    curve = state.part("curve")
    if curve:
        outcome.curve = Curve(
            curve["lr"].numpy(), curve["loss"].numpy(), curve["smoothed"].numpy(), metadata.suggestion
        )
    state.tensors = {n: t for n, t in read.items() if not n.startswith(("weights/", "curve/"))}
    return metadata.header, state

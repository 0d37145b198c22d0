"""A run between two epochs as one file, with all that the next epoch depends on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from vec2uage.base.errors import UserError
from vec2uage.training import tensor_file
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Outcome
from vec2uage.training.range_test import Curve
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack import Stack

_FORMAT = "vec2uage-checkpoint-1"
_OF_BEST = ("weights", "posterior")  # of an outcome, kept as tensors, as its curve is
_NOT_PLAIN = (*_OF_BEST, "curve", "prediction", "model")
_CURVE = ("lr", "loss", "smoothed")
_POLICIES = ("averaging", "schedule", "stopping")  # of a stack, whose checkpoints are dicts of tensors, run axis first


@dataclass
class Checkpoint:
    """One run between two epochs: its outcome so far, and its part of every tensor of the stack, on the CPU.

    Names: `params/...`, `buffers/...`, `optimizer/...`, `lr/...`, `averaging/...`, `schedule/...`, `stopping/...` and
    `order`, the state of the generator that draws the order of the data.
    """

    outcome: Outcome
    tensors: Tensors

    def part(self, prefix: str) -> Tensors:
        """Return the tensors whose names begin with `prefix/`, without that."""
        return {name[len(prefix) + 1 :]: t for name, t in self.tensors.items() if name.startswith(f"{prefix}/")}


@dataclass(frozen=True)
class Header:
    """Which run a checkpoint is of.

    `epochs` are those trained so far, `metrics` the digest of what metrics.csv says of them: "" in a file of an earlier
    version, which is taken as it is.
    """

    config_hash: str
    code: str
    data_fingerprint: str
    started: str
    epochs: int
    metrics: str = ""


def snapshot(stack: Stack, outcomes: Sequence[Outcome]) -> list[Checkpoint]:
    """Return the checkpoints of all runs of a stack, in its order; on a CPU they share the stack's memory."""
    network = stack.network
    whole = {f"params/{name}": p.detach() for name, p in network.params.items()}
    whole |= {f"buffers/{name}": b for name, b in network.buffers.items()}
    # Copies: where there is no schedule, the scheduled rate is the base rate, and a file holds no tensor twice.
    whole |= {f"lr/{name}": rates.clone() for name, rates in stack.lr.items()}
    for policy in _POLICIES:
        whole |= {f"{policy}/{name}": t.clone() for name, t in getattr(stack, policy).state.items()}
    whole = {name: tensor.cpu() for name, tensor in whole.items()}
    checkpoints = []
    optimizers = network.optimizer.unstack_state(network.state, len(stack.runs))
    for position, (run, optimizer) in enumerate(zip(stack.runs, optimizers, strict=True)):
        own = {name: tensor[position] for name, tensor in whole.items()}
        own |= {f"optimizer/{name}": tensor for name, tensor in optimizer.items()}
        checkpoints.append(Checkpoint(outcomes[run], own | {"order": stack.orders[position].get_state()}))
    return checkpoints


def restore(stack: Stack, checkpoints: Sequence[Checkpoint], runs: Sequence[RunSettings]) -> None:
    """Put all runs of a newly assembled stack where `checkpoints` left them.

    Raises UserError if a checkpoint is of another network or optimiser.
    """
    network = stack.network

    def stacked(name: str, like: Tensor) -> Tensor:
        tensor = torch.stack([checkpoint.tensors[name] for checkpoint in checkpoints]).to(like.device)
        if (tensor.shape, tensor.dtype) != (like.shape, like.dtype):
            raise ValueError(f"{name} is {list(tensor.shape)}, not {list(like.shape)}")
        return tensor

    try:
        network.params = {n: stacked(f"params/{n}", p).requires_grad_() for n, p in network.params.items()}
        network.buffers = {n: stacked(f"buffers/{n}", b) for n, b in network.buffers.items()}
        saved = [checkpoint.part("optimizer") for checkpoint in checkpoints]
        network.state = network.optimizer.stack_state(network.options, network.params, saved)
        stack.lr = {n: stacked(f"lr/{n}", rates) for n, rates in stack.lr.items()}
        for policy in _POLICIES:
            of_stack = getattr(stack, policy)
            of_stack.state = {n: stacked(f"{policy}/{n}", t) for n, t in of_stack.state.items()}
        for order, checkpoint in zip(stack.orders, checkpoints, strict=True):
            order.set_state(checkpoint.tensors["order"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the checkpoint of seed {runs[0].seed} is not of this model and optimizer ({error}): "
            "resume=false trains anew"
        ) from None


def save(path: Path, checkpoint: Checkpoint, header: Header) -> None:
    """Write a checkpoint to `path`, whole or not at all."""
    outcome = checkpoint.outcome
    tensors = dict(checkpoint.tensors)
    for best in _OF_BEST:
        tensors |= {f"{best}/{name}": tensor for name, tensor in getattr(outcome, best).items()}
    if outcome.curve is not None:
        tensors |= {f"curve/{name}": torch.from_numpy(getattr(outcome.curve, name)) for name in _CURVE}
    known = {f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in _NOT_PLAIN}
    suggestion = None if outcome.curve is None else outcome.curve.suggestion
    metadata = {"format": _FORMAT, "header": asdict(header), "outcome": known, "suggestion": suggestion}
    tensor_file.write(path, tensors, metadata)


def read_header(path: Path) -> Header:
    """Read which run a checkpoint is of; raises UserError if any of it is damaged, or of another version."""
    return _read(path)[0]


def load(path: Path) -> Checkpoint:
    """Read a checkpoint that `save` wrote; raises UserError if it is damaged or of another version."""
    return _read(path)[1]


@dataclass(frozen=True)
class _Metadata:
    """What the file says beside its tensors; from a file, so checked before it is used."""

    header: Header
    outcome: dict[str, Any]
    suggestion: float | None


_SCHEMA = TypeAdapter(_Metadata)


def _read(path: Path) -> tuple[Header, Checkpoint]:
    try:
        read, description = tensor_file.read(path)
        if description.pop("format", None) != _FORMAT:
            raise UserError(f"{path} is no checkpoint of a run written by this version of vec2uage")
        metadata = _SCHEMA.validate_python(description)
        checkpoint = Checkpoint(Outcome(**metadata.outcome), read)
        curve = checkpoint.part("curve")
        if curve:
            lr, loss, smoothed = (curve[name].numpy() for name in _CURVE)
            checkpoint.outcome.curve = Curve(lr, loss, smoothed, metadata.suggestion)
    except UserError as error:
        raise UserError(f"{error}: without it the run begins anew") from None
    except (TypeError, KeyError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged ({reason}): without it the run begins anew") from None
    for best in _OF_BEST:
        setattr(checkpoint.outcome, best, checkpoint.part(best))
    own = tuple(f"{name}/" for name in (*_OF_BEST, "curve"))
    checkpoint.tensors = {n: t for n, t in read.items() if not n.startswith(own)}
    return metadata.header, checkpoint

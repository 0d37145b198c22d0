"""The saved model: weights, input normalisation and how to build the network again, in one safetensors file."""

import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from vec2uage.base.atomic import replacing
from vec2uage.base.cores import threads
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.config.validate import check_call, refuse
from vec2uage.training.models import MLP, stack
from vec2uage.training.normalization import Kind, Normalization
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.precision import Precision
from vec2uage.training.step import EVALUATION_ROWS

_FORMAT = "vec2uage-model-1"
# The classes that are built because a file names them. A prefix would not do: what vec2uage's modules import can be
# reached by a dotted name too.
OWN = (f"{MLP.__module__}.{MLP.__qualname__}",)


@dataclass(frozen=True)
class Model:
    """A trained network for vectors of `dimension` numbers, with the normalisation it expects.

    `encoder` names what made the vectors it was trained on.
    """

    network: nn.Module
    dimension: int
    normalization: Normalization
    encoder: str
    precision: Precision

    @torch.no_grad()
    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return ages in years for face vectors `[N, D] float32`, the same bits as in the run's predictions.csv."""
        x = self.normalization(torch.from_numpy(np.array(vectors, dtype=np.float32)))
        forward, params, buffers = stack([self.network], self.precision)
        with threads(1):
            parts = [forward(params | buffers, part[None])[0] for part in x.split(EVALUATION_ROWS)]
        return torch.cat(parts).numpy()


def save(
    path: Path,
    weights: Tensors,
    model: Component,
    dimension: int,
    normalization: Normalization,
    encoder: str,
    precision: Precision = "float32",
) -> None:
    """Write a model to `path`, whole or not at all."""
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in weights.items()}
    for name in ("mean", "std"):
        tensor: Tensor | None = getattr(normalization, name)
        if tensor is not None:
            tensors[f"normalization.{name}"] = tensor.contiguous()
    description = {
        "format": _FORMAT,
        "target": model.target,
        "options": dict(model.options),
        "in_features": dimension,
        "normalization": normalization.kind,
        "encoder": encoder,
        "precision": precision,
    }
    with replacing(path) as temporary:
        # save_file would write to a file of its own, which a kill leaves behind and nobody else may read
        temporary.write_bytes(to_bytes(tensors, metadata={"vec2uage": json.dumps(description, sort_keys=True)}))


def load(path: Path, model: Component | None = None) -> Model:
    """Read a model that `save` wrote.

    A file can name any class; only those in `OWN` are built from a name in a file. For a network of your own pass its
    `model` component, as the configuration of its run has it. Raises UserError for a missing, damaged or foreign
    file, and where `model` is needed.
    """
    tensors, header = _read(path)
    own = model is None
    if model is None:
        if header.target not in OWN:
            raise UserError(f"{path} holds a {header.target}: pass that model's configuration to load it")
        problems: list[str] = []
        model = check_call(header.target, header.options, "its header's options", {"in_features"}, problems)
        refuse([f"{path}: {problem}" for problem in problems])
    extra = {"in_features": header.in_features} if model.accepts("in_features") else {}
    weights = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    try:
        # Our own take no memory before the weights fit: a file can state any width.
        with torch.device("meta") if own else nullcontext():
            network: nn.Module = model.build(**extra)
        network.load_state_dict(weights, assign=own)
    except RuntimeError:
        options = ", ".join(f"{name}={value}" for name, value in model.options)
        raise UserError(
            f"{path} does not fit {model.target}({options}): pass the model configuration of the run that wrote it"
        ) from None
    mean, std = (tensors.get(f"normalization.{name}") for name in ("mean", "std"))
    wanted = [(header.in_features,)] * 2 if header.normalization == "standardize" else [None] * 2
    if [None if t is None else tuple(t.shape) for t in (mean, std)] != wanted:
        raise UserError(f"{path}: its mean and deviation do not fit its normalization, {header.normalization}")
    return Model(
        network=network.float().eval(),
        dimension=header.in_features,
        normalization=Normalization(header.normalization, mean, std),
        encoder=header.encoder,
        precision=header.precision,
    )


def target(path: Path) -> str:
    """Return the dotted name of the class whose weights `path` holds; nothing is imported."""
    return _read(path)[1].target


@dataclass(frozen=True)
class _Header:
    """What the header of a file says of its network; from a file, so checked before it is used."""

    target: str
    options: dict[str, Any]
    in_features: Annotated[int, Field(ge=1)]
    normalization: Kind
    encoder: str
    precision: Precision


def _read(path: Path) -> tuple[Tensors, _Header]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get("vec2uage", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is no readable safetensors file: {error}") from None
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise UserError(f"{path} is no model written by vec2uage (its header does not say {_FORMAT})")
    try:
        return tensors, TypeAdapter(_Header).validate_python(description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: its header is damaged or of another version ({where}: {first['msg']})") from None

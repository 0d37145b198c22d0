"""A trained network in one safetensors file: weights, input normalisation, head, and how to build it again."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

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
from vec2uage.config.component import Component, locate
from vec2uage.config.validate import check_call, check_settings, refuse
from vec2uage.predictions.base import Prediction
from vec2uage.training import models
from vec2uage.training.heads.base import Head
from vec2uage.training.heads.scalar import Scalar
from vec2uage.training.network import EVALUATION_ROWS
from vec2uage.training.normalization import Kind, Normalization
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.precision import Precision

_FORMAT = "vec2uage-model-2"
# The network that is built because a file names it. A prefix would not do: what vec2uage's modules import can be
# reached by a dotted name too.
OWN = ("vec2uage.training.models.MLP",)
_HEADS = Head.__module__.rpartition(".")[0]


@dataclass(frozen=True)
class NetworkModel:
    """A trained network for vectors of `dimension` numbers, with the normalisation it expects.

    `encoder` names what made the vectors it was trained on.
    """

    model: Component
    weights: Tensors
    dimension: int
    normalization: Normalization
    encoder: str
    precision: Precision = "float32"
    head: Head = field(default_factory=Scalar)
    suffix: ClassVar[str] = ".safetensors"

    @cached_property
    def network(self) -> nn.Module:
        """The network with its weights; UserError where these are not of this network."""
        own = self.model.target in OWN
        try:
            # Our own take no memory before the weights fit: a file can state any width.
            with torch.device("meta" if own else "cpu"):
                network: nn.Module = self.model.build(**models.sizes(self.model, self.dimension, self.head.outputs))
            network.load_state_dict(self.weights, assign=own)
        except RuntimeError:
            options = ", ".join(f"{name}={value}" for name, value in self.model.options)
            raise UserError(
                f"its weights do not fit {self.model.target}({options}): pass the model configuration of the run that "
                "wrote it"
            ) from None
        return network.float().eval()

    @torch.no_grad()
    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        """Return what the network says of face vectors `[N, D] float32`: the same bits as in its predictions.csv."""
        x = self.normalization(torch.from_numpy(np.array(vectors, dtype=np.float32)))
        forward, params, buffers = models.stack([self.network], self.head.outputs, self.precision)
        with threads(1):
            blocks = [forward(params | buffers, block[None])[0] for block in x.split(EVALUATION_ROWS)]
        return self.head.prediction(torch.cat(blocks).numpy())

    def save(self, path: Path) -> None:
        """Write the model to `path`, whole or not at all."""
        tensors = {f"network.{name}": tensor.contiguous() for name, tensor in self.weights.items()}
        for name in ("mean", "std"):
            tensor: Tensor | None = getattr(self.normalization, name)
            if tensor is not None:
                tensors[f"normalization.{name}"] = tensor.contiguous()
        kind = type(self.head)
        description = {
            "format": _FORMAT,
            "target": self.model.target,
            "options": dict(self.model.options),
            "in_features": self.dimension,
            "normalization": self.normalization.kind,
            "encoder": self.encoder,
            "precision": self.precision,
            "head": {"_target_": f"{kind.__module__}.{kind.__qualname__}"} | self.head.to_predict(),
        }
        with replacing(path) as temporary:
            # save_file would write to a file of its own, which a kill leaves behind and nobody else may read
            temporary.write_bytes(to_bytes(tensors, metadata={"vec2uage": json.dumps(description, sort_keys=True)}))


def load(path: Path, model: Component | None = None, head: Head | None = None) -> NetworkModel:
    """Read a model that `NetworkModel.save` wrote.

    A file can name any class; only those in `OWN`, and vec2uage's own heads, are built from a name in a file. For a
    network or a head of your own pass it as the configuration of its run has it. Raises UserError for a missing,
    damaged or foreign file, and where `model` or `head` is needed.
    """
    tensors, header = _read(path)
    if model is None:
        if header.target not in OWN:
            raise UserError(f"{path} holds a {header.target}: pass that model's configuration to load it")
        problems: list[str] = []
        given = {"in_features", "out_features"}
        model = check_call(header.target, header.options, "its header's options", given, problems)
        refuse([f"{path}: {problem}" for problem in problems])
    mean, std = (tensors.get(f"normalization.{name}") for name in ("mean", "std"))
    wanted = [(header.in_features,)] * 2 if header.normalization == "standardize" else [None] * 2
    if [None if t is None else tuple(t.shape) for t in (mean, std)] != wanted:
        raise UserError(f"{path}: its mean and deviation do not fit its normalization, {header.normalization}")
    loaded = NetworkModel(
        model=model,
        weights={name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")},
        dimension=header.in_features,
        normalization=Normalization(header.normalization, mean, std),
        encoder=header.encoder,
        precision=header.precision,
        head=head or _head(header.head, path),
    )
    try:
        _ = loaded.network
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return loaded


def target(path: Path) -> str:
    """Return the dotted name of the class whose weights `path` holds; nothing is imported."""
    return _read(path)[1].target


def _head(options: dict[str, Any], path: Path) -> Head:
    """Build the head that a file names, one of vec2uage's own."""
    name = str(options.get("_target_"))
    module = name.rpartition(".")[0]
    try:
        if module.rpartition(".")[0] != _HEADS:
            raise LookupError
        found = locate(name)
    except LookupError:
        raise UserError(f"{path} has a head that is none of vec2uage's own: {name}") from None
    if not (isinstance(found, type) and issubclass(found, Head) and found.__module__ == module != Head.__module__):
        raise UserError(f"{path} has a head that is none of vec2uage's own: {name}")
    problems: list[str] = []
    head: Head = check_settings(found, options, "its header's head", problems)
    refuse([f"{path}: {problem}" for problem in problems])
    return head


@dataclass(frozen=True)
class _Header:
    """What the header of a file says of its network; from a file, so checked before it is used."""

    target: str
    options: dict[str, Any]
    in_features: Annotated[int, Field(ge=1)]
    normalization: Kind
    encoder: str
    precision: Precision
    head: dict[str, Any]


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
        raise UserError(f"{path} is no model written by this version of vec2uage (its header does not say {_FORMAT})")
    try:
        return tensors, TypeAdapter(_Header).validate_python(description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: its header is damaged or of another version ({where}: {first['msg']})") from None

"""Trained networks in one safetensors file: weights, input normalisation, head, and how to build them again."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component, locate
from vec2uage.config.validate import check_call, check_settings, refuse
from vec2uage.predictions.base import Prediction
from vec2uage.training import models, tensor_file
from vec2uage.training.heads.base import Head
from vec2uage.training.heads.scalar import Scalar
from vec2uage.training.network import EVALUATION_ROWS, outputs, prediction
from vec2uage.training.normalization import Normalization, NormalizationKind
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Model
from vec2uage.training.precision import Precision

_FORMAT = "vec2uage-model-2"
# The network that is built because a file names it. A prefix would not do: what vec2uage's modules import can be
# reached by a dotted name too.
OWN = ("vec2uage.training.models.MLP",)
_HEADS = Head.__module__.rpartition(".")[0]
_MOST_LAYERS = 1000  # to build twenty thousand takes torch a minute
_WIDEST = 1 << 20  # numbers of a vector: a class of the user's own is built with what the file says


@dataclass(frozen=True)
class NetworkModel:
    """Trained networks for vectors of `dimension` numbers, with the normalisation they expect.

    M of them, alike but for their weights: one, the samples of a posterior, or an ensemble. `encoder` names what made
    the vectors they were trained on.
    """

    model: Component
    weights: Tensors
    """Of all networks, `[M, ...]`."""
    dimension: int
    normalization: Normalization
    encoder: str
    precision: Precision = "float32"
    head: Head = field(default_factory=Scalar)
    calibration: Mapping[str, Any] | None = None
    suffix: ClassVar[str] = ".safetensors"

    @property
    def members(self) -> int:
        """The number M of networks."""
        return len(next(iter(self.weights.values())))

    @cached_property
    def network(self) -> nn.Module:
        """The first network with its weights; UserError where these are not of this network."""
        own = self.model.target in OWN
        sizes = models.accepted_sizes(self.model, self.dimension, self.head.outputs, self.head.tied_outputs)
        try:
            if own:  # nothing is built before the weights fit: a file can state any width, and any number of layers
                self._check_weights(models.MLP.shapes(hidden=dict(self.model.options)["hidden"], **sizes))
            with torch.device("meta" if own else "cpu"):
                network: nn.Module = self.model.build(**sizes)
            network.load_state_dict({name: tensor[0] for name, tensor in self.weights.items()}, assign=own)
        except RuntimeError:
            options = ", ".join(f"{name}={value}" for name, value in self.model.options)
            raise UserError(
                f"its weights do not fit {self.model.target}({options[:200]}): pass the model configuration of the run "
                "that wrote it"
            ) from None
        return network.float().eval()

    def _check_weights(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raise RuntimeError, as torch does, where the weights are not float32 numbers of these names and shapes.

        UserError where they are those of too many layers.
        """
        if len(shapes) > 2 * _MOST_LAYERS:
            raise UserError(f"it has {len(shapes) // 2:,} layers, but at most {_MOST_LAYERS:,} are built from a file")
        given = {name: tuple(tensor.shape[1:]) for name, tensor in self.weights.items()}
        if given != shapes or any(tensor.dtype != torch.float32 for tensor in self.weights.values()):
            raise RuntimeError

    @torch.no_grad()
    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        """Return what the networks say of face vectors `[N, D] float32`: the same bits as in their predictions.csv."""
        x = self.normalization(torch.from_numpy(np.array(vectors, dtype=np.float32)))
        forward, params, buffers = models.stack([self.network], self.head.outputs, self.precision)
        members = {  # a file has no buffers that a class does not save
            name: self.weights[name].to(first.dtype) if name in self.weights else torch.cat([first] * self.members)
            for name, first in (params | buffers).items()
        }
        return prediction(self.head, outputs(forward, members, x.split(EVALUATION_ROWS)))

    def traits(self) -> dict[str, str]:
        head = ", ".join(f"{name}={value}" for name, value in self.head.to_predict().items())
        model = ", ".join(f"{name}={value}" for name, value in self.model.options)
        return {
            "model": f"{self.model.target}({model})",
            "head": f"{_class_name(self.head)}({head})",
            "precision": self.precision,
            "normalization": self.normalization.described(),
            "vectors": f"{self.dimension} numbers",
            "encoder": self.encoder,
        }

    def joined(self, others: Sequence[Model]) -> "NetworkModel":
        networks = [self, *(other for other in others if isinstance(other, NetworkModel))]
        return replace(self, weights={n: torch.cat([network.weights[n] for network in networks]) for n in self.weights})

    @cached_property
    def digest(self) -> str:
        return tensor_file.digest(self._tensors()).hex()

    def _tensors(self) -> Tensors:
        """Return weights and normalisation by the names that they have in a file."""
        tensors = {f"network.{n}": tensor[0] if self.members == 1 else tensor for n, tensor in self.weights.items()}
        for name in ("mean", "std"):
            tensor: Tensor | None = getattr(self.normalization, name)
            if tensor is not None:
                tensors[f"normalization.{name}"] = tensor
        return tensors

    def save(self, path: Path, calibration: Mapping[str, Any] | None = None) -> None:
        """Write the model to `path`, whole or not at all, with what a calibration makes of its predictions."""
        description = {
            "format": _FORMAT,
            "target": self.model.target,
            "options": dict(self.model.options),
            "in_features": self.dimension,
            "normalization": self.normalization.kind,
            "encoder": self.encoder,
            "precision": self.precision,
            "head": {"_target_": _class_name(self.head)} | self.head.to_predict(),
        }
        if self.members > 1:
            description["members"] = self.members
        if calibration is not None:
            description["calibration"] = dict(calibration)
        tensor_file.write(path, self._tensors(), description)


def untrusted_classes(path: Traversable) -> dict[str, str]:
    """Return by config group, `model` or `head`, the class that a file names if it is none of vec2uage's own.

    Nothing of it is imported. Raises UserError for a missing, damaged or foreign file.
    """
    header = _read(path)[1]
    model = {} if header.target in OWN else {"model": header.target}
    return model if _own_head(header.head) else model | {"head": str(header.head.get("_target_"))}


def load(path: Traversable, model: Component | None = None, head: Head | None = None) -> NetworkModel:
    """Read a model that `NetworkModel.save` wrote.

    A file can name any class; only those in `OWN`, and vec2uage's own heads, are built from a name in a file. For a
    network or a head of your own pass it as the configuration of its run has it. Raises UserError for a missing,
    damaged or foreign file, and where `model` or `head` is needed or another one.
    """
    tensors, header = _read(path)
    if model is None:
        if header.target not in OWN:
            raise UserError(f"{path} holds a {header.target}: pass that model's configuration to load it")
        problems: list[str] = []
        given = {"in_features", "out_features"}
        model = check_call(header.target, header.options, "its header's options", given, problems)
        refuse([f"{path}: {problem}" for problem in problems])
    elif model.target != header.target:
        raise UserError(
            f"{path} holds a {header.target}, but its configuration describes another model: {model.target}"
        )
    if head is None:
        head = _build_head(header.head, path)
    elif _class_name(head) != header.head.get("_target_"):
        raise UserError(
            f"{path} holds a {header.head.get('_target_')}, but its configuration describes another head: "
            f"{_class_name(head)}"
        )
    mean, std = (tensors.get(f"normalization.{name}") for name in ("mean", "std"))
    wanted = [(header.in_features,)] * 2 if header.normalization == "standardize" else [None] * 2
    if [None if t is None else tuple(t.shape) for t in (mean, std)] != wanted or not _can_standardize(mean, std):
        raise UserError(f"{path}: its mean and deviation do not fit its normalization, {header.normalization}")
    loaded = NetworkModel(
        model=model,
        weights={
            name.removeprefix("network."): t[None] if header.members is None else t
            for name, t in tensors.items()
            if name.startswith("network.")
        },
        dimension=header.in_features,
        normalization=Normalization(header.normalization, mean, std),
        encoder=header.encoder,
        precision=header.precision,
        head=head,
        calibration=header.calibration,
    )
    if header.members is not None and any(t.shape[:1] != (header.members,) for t in loaded.weights.values()):
        raise UserError(f"{path} says that it holds {header.members} networks, but has not so many weights")
    try:
        _ = loaded.network
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return loaded


def _can_standardize(mean: Tensor | None, std: Tensor | None) -> bool:
    """Tell whether vectors can be scaled by these, if at all: finite float32 numbers, and none of the latter 0."""
    given = [tensor for tensor in (mean, std) if tensor is not None]
    sound = all(tensor.dtype == torch.float32 and bool(tensor.isfinite().all()) for tensor in given)
    return sound and (std is None or bool((std > 0).all()))


def _class_name(head: Head) -> str:
    return f"{type(head).__module__}.{type(head).__qualname__}"


def _own_head(options: dict[str, Any]) -> type[Head] | None:
    """Return the class of the head that a file names if it is one of vec2uage's own, under the name where it stands."""
    name = str(options.get("_target_"))
    module = name.rpartition(".")[0]
    if module.rpartition(".")[0] != _HEADS:
        return None
    with suppress(LookupError):
        found = locate(name)
        if isinstance(found, type) and issubclass(found, Head) and found.__module__ == module != Head.__module__:
            return found
    return None


def _build_head(options: dict[str, Any], path: Traversable) -> Head:
    own = _own_head(options)
    if own is None:
        raise UserError(f"{path} has a head that is none of vec2uage's own: {options.get('_target_')}")
    problems: list[str] = []
    head: Head = check_settings(own, options, "its header's head", problems)
    refuse([f"{path}: {problem}" for problem in problems])
    return head


@dataclass(frozen=True)
class _Header:
    """What the header of a file says of its network; from a file, so checked before it is used."""

    target: str
    options: dict[str, Any]
    in_features: Annotated[int, Field(strict=True, ge=1, le=_WIDEST)]
    normalization: NormalizationKind
    encoder: str
    precision: Precision
    head: dict[str, Any]
    members: Annotated[int, Field(strict=True, ge=2)] | None = None
    calibration: dict[str, Any] | None = None


def _read(path: Traversable) -> tuple[Tensors, _Header]:
    tensors, description = tensor_file.read(path)
    if description.get("format") != _FORMAT:
        raise UserError(f"{path} is no model written by this version of vec2uage (its header does not say {_FORMAT})")
    try:
        return tensors, TypeAdapter(_Header).validate_python(description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: its header is damaged or of another version ({where}: {first['msg']})") from None

"""The saved model: weights, input normalisation and how to build the network again, in one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vec2uage.base.atomic import replacing
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component, frozen
from vec2uage.training.models import Precision, stack
from vec2uage.training.normalization import Normalization
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.step import EVALUATION_ROWS

_FORMAT = "vec2uage-model-1"


@dataclass(frozen=True)
class Model:
    """A trained network with the normalisation it expects; `encoder` names what made the vectors it was trained on."""

    network: nn.Module
    normalization: Normalization
    encoder: str
    precision: Precision

    @torch.no_grad()
    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
        """Return ages in years for face vectors `[N, D] float32`, the same bits as in the run's predictions.csv."""
        x = self.normalization(torch.from_numpy(np.array(vectors, dtype=np.float32)))
        forward, params, buffers = stack([self.network], self.precision)
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
        save_file(tensors, temporary, metadata={"vec2uage": json.dumps(description, sort_keys=True)})


def load(path: Path, model: Component | None = None) -> Model:
    """Read a model that `save` wrote.

    A file can name any class; only vec2uage's own are built from a name in a file. For a network of your own pass
    its `model` component, as the configuration of its run has it. Raises UserError for a missing, damaged or foreign
    file, and where `model` is needed.
    """
    tensors, description = _read(path)
    if model is None:
        if not description["target"].startswith("vec2uage."):
            raise UserError(f"{path} holds a {description['target']}: pass that model's configuration to load it")
        model = Component(description["target"], tuple((k, frozen(v)) for k, v in description["options"].items()))
    extra = {"in_features": description["in_features"]} if model.accepts("in_features") else {}
    network: nn.Module = model.build(**extra)
    weights = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        options = ", ".join(f"{name}={value}" for name, value in model.options)
        raise UserError(
            f"{path} does not fit {model.target}({options}): pass the model configuration of the run that wrote it"
        ) from None
    normalization = Normalization(
        description["normalization"], tensors.get("normalization.mean"), tensors.get("normalization.std")
    )
    return Model(network.eval(), normalization, description["encoder"], description["precision"])


def _read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get("vec2uage", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is no readable safetensors file: {error}") from None
    if description.get("format") != _FORMAT:
        raise UserError(f"{path} is no model written by vec2uage (its header does not say {_FORMAT})")
    return tensors, description

"""A tuned encoder as one file: the weights of the blocks that learnt, and which network they belong to."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.faces.embedders.facenet_weights import Origin
from vec2uage.training import tensor_file
from vec2uage.training.optimizers.base import Tensors

_FORMAT = "vec2uage-encoder-1"


@dataclass(frozen=True)
class TunedEncoder:
    """Weights that replace those of a FaceNet, by the names that they have there."""

    weights: Tensors
    base: Origin
    """Where the network's other weights come from, as `embedder.weights` names it."""
    base_sha256: str
    """Of the file of these."""
    takes: dict[str, str]
    """How a crop comes to the network, and what becomes of its outputs: the options of `embedder`."""
    about: dict[str, Any]
    """What it was tuned on and from, for people."""

    @cached_property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with any weight of the whole network."""
        return hashlib.sha256(self.base_sha256.encode() + tensor_file.digest(self.weights)).hexdigest()[:8]

    @property
    def network(self) -> str:
        """What the network is called in the name of an encoder."""
        return f"facenet-tuned-{self.digest}"

    def encoder(self, before: str) -> str:
        """Return the name of this encoder, on faces that were cut out as those of the encoder `before`."""
        return str(Encoder(self.network, Encoder.parse(before).options))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        description = {
            "format": _FORMAT,
            "base": self.base,
            "base_sha256": self.base_sha256,
            "takes": self.takes,
            "about": self.about,
        }
        tensor_file.write(path, self.weights, description)


@dataclass(frozen=True)
class _Description:
    """What a file says beside its tensors; from a file, so checked before it is used."""

    base: Origin
    base_sha256: str
    takes: Annotated[
        dict[Annotated[str, Field(pattern="^(adapter|normalize|output|layer)$")], str], Field(min_length=3)
    ]
    about: dict[str, Any]


def read(path: Path) -> TunedEncoder:
    """Read what `TunedEncoder.save` wrote; UserError where it is missing, damaged or something else."""
    weights, description = tensor_file.read(path)
    if description.pop("format", None) != _FORMAT:
        raise UserError(
            f"{path} is no tuned encoder written by this version of vec2uage (encoder.safetensors of a run)"
        )
    try:
        known = TypeAdapter(_Description).validate_python(description)
    except ValidationError as error:
        raise UserError(f"{path} is damaged ({error.errors()[0]['msg']})") from None
    return TunedEncoder(weights, known.base, known.base_sha256, known.takes, known.about)

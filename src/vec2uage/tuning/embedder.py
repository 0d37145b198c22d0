"""`embedder=tuned`: FaceNet with the blocks that a run of `model=end_to_end` has tuned."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from pydantic import ValidationError

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.faces.embedders.base import Embed, Embedder
from vec2uage.faces.embedders.blocks import up_to
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.facenet_weights import DOWNLOADS, locate
from vec2uage.faces.model_files import sha256

if TYPE_CHECKING:
    from vec2uage.faces.embedders.inception import InceptionResnetV1
    from vec2uage.tuning.encoder_file import TunedEncoder


@settings
class TunedFaceNet(FaceNet):
    """A FaceNet of which the file `tuned` replaces some weights."""

    tuned: str

    def network(self) -> "InceptionResnetV1":
        from vec2uage.faces.embedders.inception import block_of

        network, tuned = FaceNet.network(self), _read(self.tuned)
        own = network.state_dict()
        kinds = {name: (tensor.shape, tensor.dtype) for name, tensor in own.items()}
        blocks: tuple[str, ...] = up_to(self.layer)
        for name, tensor in tuned.weights.items():
            if kinds.get(name) != (tensor.shape, tensor.dtype) or block_of(name) not in blocks:
                raise UserError(f"{self.tuned} does not fit FaceNet up to {self.layer}: {name}")
        network.load_state_dict(own | tuned.weights, assign=True)
        return network.requires_grad_(False)

    def called(self) -> str:
        return _read(self.tuned).network


@settings
class Tuned(Embedder):
    """A tuned encoder, which takes crops as the one did that it was tuned from."""

    path: str
    """The file `encoder.safetensors` of a run."""
    base: str | None
    """The file of the weights that it was tuned from; None: where they are found by themselves."""
    precision: Literal["auto", "float32", "bf16"]
    input_shape: ClassVar[tuple[int, ...]] = FaceNet.input_shape
    batch_size: ClassVar[int] = FaceNet.batch_size

    @property
    def dimension(self) -> int:
        return self._face_net().dimension

    def prepare(self, crop: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 160 160"]:
        """Return the network's input, channels first, as `FaceNet.prepare` does."""
        return self._face_net().prepare(crop)

    def open(self, device: str) -> Embed:
        """Load the network; UserError without its file, without the weights it was tuned from, or without device."""
        return self._face_net().open(device)

    def fingerprint(self) -> str:
        """Return such as `facenet-tuned-6b7e38f2/resize/fixed/normalized/bf16`."""
        return self._face_net().fingerprint()

    def stored_as(self) -> tuple[str, ...]:
        return self._face_net().stored_as()

    def _face_net(self) -> TunedFaceNet:
        return _face_net(_read(self.path), self.path, self.base, self.precision)


def _face_net(tuned: "TunedEncoder", path: str, base: str | None, precision: str) -> TunedFaceNet:
    options: dict[str, Any] = {
        "weights": tuned.base,
        "path": base,
        "precision": precision,
        "tuned": path,
        **tuned.takes,
    }
    if tuned.base == "file" and base is None:
        raise UserError(
            f"{path} (embedder.path) was tuned from weights in a file of one's own: give it with embedder.base"
        )
    if tuned.base in DOWNLOADS and base is not None:
        raise UserError(
            f"embedder.base = {base}: {path} was tuned from {tuned.base}, which is downloaded: leave it at null"
        )
    if base is not None and not Path(base).is_file():
        raise UserError(f"embedder.base = {base}: there is no such file of weights")
    try:
        made = TunedFaceNet(**options)
    except ValidationError as error:
        (problem, *_) = error.errors()
        what = ".".join(map(str, problem["loc"]))
        raise UserError(f"{path} (embedder.path) is damaged: {what}: {problem['msg']}") from None
    weights = locate(made.weights, made.path)
    if sha256(weights) != tuned.base_sha256:
        raise UserError(
            f"{path} (embedder.path) was tuned from other weights than {weights}: give their file with embedder.base"
        )
    return made


def _read(path: str) -> "TunedEncoder":
    if not Path(path).is_file():
        raise UserError(f"embedder.path = {path}: there is no such file; a run of model=end_to_end writes one")
    return _content(path, sha256(Path(path)))


@lru_cache(maxsize=4)
def _content(path: str, content: str) -> "TunedEncoder":
    from vec2uage.tuning import encoder_file  # which imports torch

    return encoder_file.read(Path(path))

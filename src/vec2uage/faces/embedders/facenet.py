"""FaceNet: Inception-ResNet-v1, 512 numbers per face (Schroff et al. 2015, arXiv:1503.03832; paper section 3.1).

Or what an inner block makes of the face, as its mean over the picture.
"""

from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image
from pydantic import model_validator

from vec2uage.base.device import torch_device
from vec2uage.config.settings import settings
from vec2uage.faces.embedders.base import Embed, Embedder
from vec2uage.faces.embedders.blocks import CHANNELS, Block, up_to
from vec2uage.faces.embedders.facenet_weights import DOWNLOADS, Origin, label, load, locate
from vec2uage.faces.model_files import sha256
from vec2uage.faces.records import Refused

if TYPE_CHECKING:
    from torch import Tensor

    from vec2uage.faces.embedders.inception import InceptionResnetV1

SIDE = 160


@settings
class FaceNet(Embedder):
    """FaceNet with weights of one's choice; `path` belongs to the weights `frozen_graph` and `file`.

    Of an inner `layer`, whose pictures are far larger than a vector, the mean over the picture is taken.
    """

    weights: Origin
    path: str | None
    adapter: Literal["resize", "center_crop"]
    normalize: Literal["fixed", "prewhiten"]
    output: Literal["normalized", "raw"]
    precision: Literal["auto", "float32", "bf16"]
    layer: Block = "last_linear"
    input_shape: ClassVar[tuple[int, ...]] = (3, SIDE, SIDE)
    batch_size: ClassVar[int] = 32

    @model_validator(mode="after")
    def _path_fits(self) -> "FaceNet":
        if self.weights == "file" and self.path is None:
            raise ValueError("weights=file needs path=<state dict of facenet-pytorch, .pt or .safetensors>")
        if self.weights in DOWNLOADS and self.path is not None:
            raise ValueError(f"weights={self.weights} is downloaded: leave path null, or take weights=file")
        return self

    @property
    def dimension(self) -> int:
        """Numbers per vector: the channels of the block."""
        return CHANNELS[self.layer]

    def prepare(self, crop: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "3 160 160"]:
        """Return the network's input, channels first.

        `center_crop` keeps the order of the authors' code: the whole crop is normalised, then its middle is cut out.
        """
        height, width = crop.shape[:2]
        if self.adapter == "resize":
            # Rounding to bytes, as Pillow does here, makes `fixed` exact in bfloat16: it has the 8 bits of 2 x - 255.
            crop = np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        elif min(height, width) < SIDE:
            raise Refused("too_small", f"a crop of {width}x{height} pixels has no middle of {SIDE}x{SIDE} to cut out")
        pixels = (fixed if self.normalize == "fixed" else prewhiten)(crop)
        if self.adapter == "center_crop":
            top, left = (height - SIDE) // 2, (width - SIDE) // 2
            pixels = pixels[top : top + SIDE, left : left + SIDE]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def open(self, device: str) -> Embed:
        """Load the network; UserError without weights or device."""
        import torch

        where = torch_device(device)
        network, blocks = self.network(), up_to(self.layer)
        if self.resolved_precision() == "bf16":
            network = network.narrow()
        network = network.to(where).to(memory_format=torch.channels_last)

        def vectors(batch: torch.Tensor) -> torch.Tensor:
            # The same kernels in every call, and on a GPU none that round float32 to TF32.
            with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
                made = network.through(batch.to(where).contiguous(memory_format=torch.channels_last), blocks)
                return self.finished(made)

        @torch.inference_mode()
        def embed(prepared: Float32[np.ndarray, "B 3 160 160"]) -> Float32[np.ndarray, "B D"]:
            made = np.empty((len(prepared), self.dimension), dtype=np.float32)
            # Libraries choose their algorithm, and so the order of sums, by the batch's shape: it is always the same.
            batch = torch.zeros(self.batch_size, *self.input_shape)
            for start in range(0, len(prepared), self.batch_size):
                part = torch.from_numpy(prepared[start : start + self.batch_size])
                batch[: len(part)] = part
                made[start : start + len(part)] = vectors(batch)[: len(part)].cpu().numpy()
            return made

        return embed

    def finished(self, made: "Tensor") -> "Tensor":
        """Return vectors `[B, D]` of what the block makes: the mean over the picture, of the length of `output`."""
        import torch

        from vec2uage.faces.embedders.inception import pooled

        raw = pooled(made)
        return torch.nn.functional.normalize(raw, dim=1) if self.output == "normalized" else raw

    def network(self) -> "InceptionResnetV1":
        """Return the network with its weights, in float32; UserError without weights."""
        return load(self.weights, self.path)

    def fingerprint(self) -> str:
        """Return such as `facenet-20180408-102900-6b7e38f2/resize/fixed/normalized/bf16`, the store's name.

        An inner block stands before the precision, which does not count in an encoder's name.
        """
        of_block = "" if self.layer == "last_linear" else f"/{self.layer}"
        return f"{self.called()}/{self.adapter}/{self.normalize}/{self.output}{of_block}/{self.resolved_precision()}"

    def called(self) -> str:
        """Return what the network is called in the name of an encoder."""
        return f"facenet-{label(self.weights, self.path)}-{sha256(locate(self.weights, self.path))[:8]}"

    def stored_as(self) -> tuple[str, ...]:
        """Return the fingerprint; with `auto` also that of vectors which a machine of the other precision has made."""
        own = self.fingerprint()
        if self.precision != "auto":
            return (own,)
        other = "float32" if self.resolved_precision() == "bf16" else "bf16"
        return own, f"{own.rpartition('/')[0]}/{other}"

    def resolved_precision(self) -> Literal["float32", "bf16"]:
        """Return what `auto` means on this machine, on its GPU too, so that both make the same vectors."""
        if self.precision == "auto":
            return "bf16" if _has_bf16() else "float32"
        return self.precision


@cache
def _has_bf16() -> bool:
    import torch

    return torch.cpu._is_avx512_bf16_supported()


def fixed(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Scale pixels to [-1, 1] as FaceNet's 2018 models were trained: (x - 127.5) / 128."""
    return (image.astype(np.float32) - np.float32(127.5)) / np.float32(128)


def prewhiten(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Scale an image to mean 0 and deviation 1, as FaceNet's older models were trained and the paper's code did.

    A plain image, whose deviation is 0, becomes all zeros: the deviation counts as 1 / sqrt(numbers) at least.
    """
    deviation = max(float(image.std(dtype=np.float64)), image.size**-0.5)
    return ((image - image.mean(dtype=np.float64)) / deviation).astype(np.float32)

"""dlib's face recognition network: a ResNet with 29 convolutions, 128 numbers per face (D. E. King, dlib 19.3)."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.faces.embedders.base import Embed, Embedder
from vec2uage.faces.model_files import packaged, sha256

SIDE, PADDING = 150, 0.25  # of the aligned faces that the network was trained on


@settings
class DlibResNet(Embedder):
    """dlib's network on faces turned upright by five landmarks, or on crops as they are.

    Its vectors have lengths around 1.4 and are left as they are: their Euclidean distance is what dlib trained.
    """

    align: Literal["landmarks", "none"]
    dimension: ClassVar[int] = 128
    input_shape: ClassVar[tuple[int, ...]] = (SIDE, SIDE, 3)
    batch_size: ClassVar[int] = 32

    def prepare(self, crop: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "150 150 3"]:
        """Return the picture that the network takes, pixels 0 to 255; the crop counts as the detected box."""
        if self.align == "none":
            chip = np.asarray(Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        else:
            import dlib

            height, width = crop.shape[:2]
            crop = np.ascontiguousarray(crop)
            landmarks = _landmarks()(crop, dlib.rectangle(0, 0, width - 1, height - 1))
            chip = dlib.get_face_chip(crop, landmarks, size=SIDE, padding=PADDING)
        return chip.astype(np.float32)

    def open(self, device: str) -> Embed:
        """Load the network; UserError without weights, or where a GPU is asked for and dlib was built without."""
        import dlib

        if device.startswith("cuda") and not dlib.DLIB_USE_CUDA:
            raise UserError(f"device = {device}: this dlib was built without CUDA; set device=cpu or auto")
        network = _load(dlib.face_recognition_model_v1, _network_file())

        def embed(prepared: Float32[np.ndarray, "B 150 150 3"]) -> Float32[np.ndarray, "B 128"]:
            made = np.empty((len(prepared), self.dimension), dtype=np.float32)
            for start in range(0, len(prepared), self.batch_size):
                chips = list(prepared[start : start + self.batch_size].astype(np.uint8))
                made[start : start + len(chips)] = np.array(network.compute_face_descriptor(chips))
            return made

        return embed

    def fingerprint(self) -> str:
        """Return such as `dlib-resnet-v1-8a3d3b2f/landmarks-c9d2b1aa`."""
        align = f"landmarks-{sha256(_landmarks_file())[:8]}" if self.align == "landmarks" else "none"
        return f"dlib-resnet-v1-{sha256(_network_file())[:8]}/{align}"


def _network_file() -> Path:
    return _packaged("dlib_face_recognition_resnet_model_v1.dat")


def _landmarks_file() -> Path:
    return _packaged("shape_predictor_5_face_landmarks.dat")


def _packaged(file: str) -> Path:
    return packaged("face_recognition_models", f"models/{file}", "face-recognition-models")


@cache
def _landmarks() -> Any:
    """Load the landmark predictor, once in each process."""
    import dlib

    return _load(dlib.shape_predictor, _landmarks_file())


def _load(reader: Callable[[str], Any], file: Path) -> Any:
    try:
        return reader(str(file))
    except RuntimeError as error:
        raise UserError(f"{file} is damaged ({error}): install its package again") from error

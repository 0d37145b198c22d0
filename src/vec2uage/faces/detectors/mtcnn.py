"""MTCNN, a cascade of three small networks (Zhang et al., arXiv:1604.02878), as facenet-pytorch ships it."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from vec2uage.config.settings import settings
from vec2uage.faces.detectors.base import Detect, Detector, encoder_options, fingerprint, with_max_side
from vec2uage.faces.model_files import packaged, sha256
from vec2uage.faces.records import Face

Share = Annotated[float, Field(ge=0, le=1)]


@settings
class MTCNN(Detector):
    """facenet-pytorch's MTCNN on the CPU; its weights are in its wheel."""

    thresholds: tuple[Share, Share, Share]
    """The least probability to pass each of the three networks."""
    min_face_size: Annotated[int, Field(ge=12)]
    factor: Annotated[float, Field(gt=0, lt=1)]
    """Step from one size of the image pyramid to the next."""
    max_side: Annotated[int, Field(ge=80)] | None
    """Images with a longer side are shrunk to it; None never shrinks."""

    def open(self) -> Detect:
        from facenet_pytorch import MTCNN as Network

        network = Network(
            thresholds=list(self.thresholds), min_face_size=self.min_face_size, factor=self.factor, device="cpu"
        )

        def find(image: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
            if min(image.shape[:2]) * (12.0 / self.min_face_size) < 12:  # the network fails on an empty pyramid
                return []
            boxes, scores = network.detect(image)
            if boxes is None:
                return []
            edges = np.rint(boxes.astype(float)).astype(int).tolist()
            return [
                Face(left, top, right, bottom, float(score), "mtcnn")
                for (left, top, right, bottom), score in zip(edges, scores, strict=True)
            ]

        return with_max_side(find, self.max_side)

    def fingerprint(self) -> str:
        networks = ("pnet", "rnet", "onet")
        files = [packaged("facenet_pytorch", f"data/{net}.pt", "facenet-pytorch==2.5.3") for net in networks]
        weights = [sha256(file)[:16] for file in files]
        return fingerprint("mtcnn", package=version("facenet-pytorch"), weights=weights, **asdict(self))

    def encoder_options(self) -> dict[str, str]:
        return encoder_options("mtcnn", asdict(self))

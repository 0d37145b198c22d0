"""A detector and an embedder that take no time, written as a user would write their own."""

import os
import signal
import tempfile

import numpy as np

from vec2uage.config.settings import settings
from vec2uage.faces.detectors.base import Detector
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.records import Face, Points, Refused


@settings
class Halves(Detector):
    """Finds a face in each of `count` stripes of an image; kills its process on an image that is all red."""

    count: int = 1
    name: str = "halves"

    def open(self):
        return self.find

    def find(self, image):
        if (image == (255, 0, 0)).all():
            os.kill(os.getpid(), signal.SIGKILL)
        if self.name == "fails" and (image == (0, 0, 255)).all():
            raise RuntimeError("blue")
        if (image == 0).all():
            return []
        height, width = image.shape[:2]
        step = width // self.count
        return [Face(k * step, 0, (k + 1) * step, height - k, 1.0 - k / 10, "hog") for k in range(self.count)]

    def fingerprint(self):
        return f"{self.name}-{self.count}"


@settings
class Sideways(Detector):
    """Finds a face, with points, in the upper half of an image that is red above green."""

    gives_points = True

    def open(self):
        return self.find

    def find(self, image):
        height, width = image.shape[:2]
        if (
            (image[0, 0] != (200, 0, 0)).any()
            or (image[-1, -1] != (0, 200, 0)).any()
            or (image[0] != image[0, 0]).any()
        ):
            return []
        points = Points((5.0, 5.0), (15.0, 5.0), (10.0, 10.0), (5.0, 15.0), (15.0, 15.0))
        return [Face(0, 0, width, height // 2, 1.0, "yunet", points)]

    def fingerprint(self):
        return "sideways"


@settings
class MeanColour(Embedder):
    """Three numbers: red, green and blue."""

    batch_size = 4
    dimension = 3
    input_shape = (3,)

    def prepare(self, crop):
        return crop.reshape(-1, 3).mean(0, dtype=np.float32)

    def open(self, device):
        return lambda prepared: prepared * np.float32(2)

    def fingerprint(self):
        return "mean-colour"


@settings
class OneByOne(MeanColour):
    """Takes one crop at a time."""

    batch_size = 1


@settings
class OfMachine(MeanColour):
    """Computes in the precision of a machine, and takes what the other kind of machine has made."""

    precision: str

    def fingerprint(self):
        return f"mean-colour/{self.precision}"

    def stored_as(self):
        return self.fingerprint(), *sorted({"mean-colour/bf16", "mean-colour/float32"} - {self.fingerprint()})


@settings
class Picky(MeanColour):
    """Takes no crop at all."""

    def prepare(self, crop):
        raise Refused("too_small", "never large enough")

    def fingerprint(self):
        return "picky"


@settings
class Noting(Halves):
    """Leaves a file in a folder for each image that it has looked at."""

    count: int = 2
    folder: str = ""

    def find(self, image):
        descriptor, _ = tempfile.mkstemp(dir=self.folder)
        os.close(descriptor)
        return super().find(image)

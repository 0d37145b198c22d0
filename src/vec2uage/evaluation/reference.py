"""The faces that a model was trained on, summed up so that it can be told how far others are from them.

A mean and the main directions of their covariance, all else alike in every direction (probabilistic principal
components, Tipping and Bishop 1999): a Gaussian in which no vector of anybody stands. The distance from it is
Mahalanobis's, by which Lee et al. 2018 tell what is unlike the training data.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64

from vec2uage.base.errors import UserError
from vec2uage.base.provenance import file_sha256
from vec2uage.training import tensor_file

_FORMAT = "vec2uage-reference-1"
_SUFFIX = ".reference"  # not .safetensors, which it is: a pattern that names models would name it
_FACES_PER_AXIS = 10
_MOST_AXES = 64
FEWEST = 100
"""Of fewer training faces, a summary would say too much of each, and too little of all."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of the training faces' vectors, each scaled to length 1, and how far faces are from them."""

    mean: Float64[np.ndarray, " D"]
    axes: Float64[np.ndarray, "K D"]
    """Directions of length 1, at right angles, in which they differ most."""
    variances: Float64[np.ndarray, " K"]
    """In these directions."""
    rest: float
    """The variance in every other direction."""
    faces: int
    """Of how many faces."""
    expected: Float64[np.ndarray, " n"]
    """In rising order, the distances of faces that the model was judged on, and has not learnt from."""

    def distance(self, vectors: Float[np.ndarray, "N D"]) -> Float64[np.ndarray, " N"]:
        """Return how far faces are from the training faces: about 1 for those; the same bits in any batch."""
        return np.array([self._of_one(vector) for vector in _scaled(vectors)])

    def _of_one(self, vector: Float64[np.ndarray, " D"]) -> float:
        """Sums, not a product of matrices, whose bits depend on how many rows and threads there are."""
        off = vector - self.mean
        along = np.square((self.axes * off).sum(axis=1))
        square = (along / self.variances).sum() + max(np.square(off).sum() - along.sum(), 0.0) / self.rest
        return float(np.sqrt(square / len(off)))


def fit(trained: Float32[np.ndarray, "M D"], judged: Float32[np.ndarray, "N D"]) -> Reference:
    """Sum up the vectors of the faces that a model was trained on; `judged` are those that it was judged on.

    Raises UserError for too few training faces.
    """
    if len(trained) < FEWEST:
        raise UserError(f"the training faces are summed up from {FEWEST} of them on, and there are {len(trained)}")
    x = _scaled(trained)
    dimension = x.shape[1]
    mean = x.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(x - mean, rowvar=False).reshape(dimension, dimension))
    count = min(_MOST_AXES, len(x) // _FACES_PER_AXIS, dimension - 1)
    largest = slice(dimension - count, None)
    least = np.finfo(np.float32).eps * variances.sum()  # where vectors are alike in a direction
    summary = Reference(
        mean=mean,
        axes=np.ascontiguousarray(axes.T[largest]),
        variances=np.maximum(variances[largest], least),
        rest=float(max(variances[: dimension - count].mean(), least)),
        faces=len(x),
        expected=np.zeros(0),
    )
    return replace(summary, expected=np.sort(summary.distance(judged)))


def find(statement: Path) -> Path:
    """Return where the reference lies that belongs to a statement."""
    return statement.with_name(statement.name.removesuffix(".json").removesuffix(".statement") + _SUFFIX)


def write(path: Path, reference: Reference) -> None:
    """Write a reference to `path`, whole or not at all."""
    arrays = {name: getattr(reference, name) for name in ("mean", "axes", "variances", "expected")}
    description = {"format": _FORMAT, "rest": reference.rest, "faces": reference.faces}
    tensor_file.write(path, {name: torch.from_numpy(array) for name, array in arrays.items()}, description)


def read(path: Path) -> Reference:
    """Read what `write` wrote; UserError where it is missing, damaged, or something else."""
    tensors, description = tensor_file.read(path)
    if description.get("format") != _FORMAT:
        raise UserError(f"{path} is no reference that this version of vec2uage wrote")
    return Reference(
        mean=tensors["mean"].numpy(),
        axes=tensors["axes"].numpy(),
        variances=tensors["variances"].numpy(),
        rest=description["rest"],
        faces=description["faces"],
        expected=tensors["expected"].numpy(),
    )


def open_reference(path: Path, sha256: str) -> Reference:
    """Read the reference that a statement speaks of (`Statement.reference`); UserError where it is another file."""
    if not path.is_file() or file_sha256(path) != sha256:
        raise UserError(
            f"{path}: missing, or not the file that the statement beside it speaks of: evaluate the model with "
            "statement=true"
        )
    return read(path)


def _scaled(vectors: Float[np.ndarray, "N D"]) -> Float64[np.ndarray, "N D"]:
    """Return vectors of length 1: encoders differ in the length they give, which says nothing of a face."""
    wide = vectors.astype(np.float64)
    return wide / np.sqrt(np.square(wide).sum(axis=1, keepdims=True))

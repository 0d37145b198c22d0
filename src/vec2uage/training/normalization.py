"""Input normalisation: fitted on training vectors only, saved with the model as two vectors and a flag."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

NormalizationKind = Literal["l2", "none", "standardize"]


@dataclass(frozen=True)
class Normalization:
    """`l2` scales each vector to length 1; `standardize` subtracts the training mean and divides by the deviation."""

    kind: NormalizationKind
    mean: Float[Tensor, " D"] | None = None
    std: Float[Tensor, " D"] | None = None

    def __call__(self, vectors: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        if self.kind == "l2":
            return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
        if self.mean is not None and self.std is not None:
            return (vectors - self.mean) / self.std
        return vectors

    def described(self) -> str:
        """Name what is done to vectors: the same text for the same numbers."""
        numbers = [tensor.numpy().tobytes() for tensor in (self.mean, self.std) if tensor is not None]
        return f"{self.kind} ({hashlib.sha256(b''.join(numbers)).hexdigest()[:8]})" if numbers else self.kind


def fit(
    kind: NormalizationKind, train: Float[Tensor, "N D"], weight: Float[Tensor, " N"] | None = None
) -> Normalization:
    """Fit a normalisation on the training vectors `[N, D] float32`, which count by their weights, if they have any."""
    if kind != "standardize":
        return Normalization(kind)
    mean = train.double().mean(0)
    std = train.double().std(0, correction=0)
    if weight is not None:
        share = (weight.double() / weight.double().sum())[:, None]
        varies = std > 0
        mean = torch.where(varies, (share * train).sum(0), mean)
        std = torch.where(varies, (share * (train - mean) ** 2).sum(0).sqrt(), std)
    # A dimension that never varies carries nothing: dividing by 1 leaves it at zero instead of at infinity.
    std = torch.where(std > 0, std, torch.ones_like(std))
    return Normalization(kind, mean.float(), std.float())

"""How well vectors tell one person from two, before a tuning and after it: copies are found by them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from vec2uage.base.cores import threads
from vec2uage.base.formatting import counted
from vec2uage.data.similarity import cosine_of_pairs
from vec2uage.faces.embedders.blocks import up_to
from vec2uage.faces.embedders.inception import InceptionResnetV1, pooled
from vec2uage.predictions.roc import roc
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.precision import Precision, products
from vec2uage.tuning.activations import Activations, Frozen
from vec2uage.tuning.network import base_network
from vec2uage.tuning.pairs import FacePairs, Pairs

FALSE_ACCEPTS = 1e-3
"""The share of pairs of two persons that may be taken for one where vectors are compared at an equal rate of it."""
ALL = "all"
_STEP = 64  # faces at a time


@dataclass(frozen=True)
class Separation:
    """How far the cosines of pairs of one person lie above those of two persons."""

    pairs: int
    area: float
    """Under the receiver operating characteristic: how likely a pair of one person has the higher cosine."""
    found: float
    """Share of the pairs whose cosine is one that at most `FALSE_ACCEPTS` of the pairs of two persons reach."""
    above: float | None
    """Share of the pairs from the threshold of the audit on; None where it has none."""
    median: float


def separation(
    same: Float64[np.ndarray, " P"], different: Float64[np.ndarray, " D"], threshold: float | None
) -> Separation:
    """Return how well cosines tell pairs of one person from those of two.

    >>> separation(np.array([0.9, 0.7]), np.array([0.8, 0.1, 0.2]), 0.75)
    Separation(pairs=2, area=0.833333, found=0.5, above=0.5, median=0.8)
    """
    curve = roc(np.concatenate([same, different]), np.arange(len(same) + len(different)) < len(same))
    area, found = round(curve.area, 6), round(curve.at_false_positives(FALSE_ACCEPTS)[1], 6)
    return Separation(len(same), area, found, _above(same, threshold), round(float(np.median(same)), 6))


@dataclass(frozen=True)
class Others:
    """The cosines of pairs of two persons."""

    pairs: int
    above: float | None
    median: float

    @staticmethod
    def of(different: Float64[np.ndarray, " D"], threshold: float | None) -> "Others":
        return Others(len(different), _above(different, threshold), round(float(np.median(different)), 6))


@dataclass(frozen=True, eq=False)
class Verification:
    """Pairs of faces, and the activations of their crops before the blocks that learn."""

    pairs: FacePairs
    positions: np.ndarray
    """Of the crops of `pairs.names`."""
    activations: Activations
    frozen: Frozen
    precision: Precision
    """Of the blocks that learn: torch has one for all runs that train side by side."""

    def measure(self, weights: Tensors) -> dict[str, Any] | None:
        """Return as JSON what the encoder tells apart before, and with these weights in the blocks that learn.

        None where no pair of one person is known, or none of two.
        """
        if not self.pairs.same or not len(self.pairs.different):
            return None
        frozen = self.frozen
        network = base_network(frozen.face_net).without(frozen.blocks).to(frozen.device)
        before = self._told(network)
        network.load_state_dict(network.state_dict() | weights)
        rule = {"false_accepts": FALSE_ACCEPTS, "threshold": self.pairs.threshold}
        return {**rule, "before": before, "after": self._told(network)}

    def _told(self, network: InceptionResnetV1) -> dict[str, Any]:
        vectors, threshold = self._vectors(network), self.pairs.threshold
        different = _cosines(vectors, self.pairs.different)
        same = {how: _cosines(vectors, pairs) for how, pairs in self.pairs.same.items()}
        told = {how: separation(cosines, different, threshold) for how, cosines in (same | _all(same)).items()}
        return {
            "same": {how: asdict(one) for how, one in told.items()},
            "different": asdict(Others.of(different, threshold)),
        }

    @torch.inference_mode()
    def _vectors(self, network: InceptionResnetV1) -> Float32[np.ndarray, "N D"]:
        """Return the vectors of the faces; their lengths do not count."""
        learning, device = up_to(self.frozen.face_net.layer)[len(self.frozen.blocks) :], self.frozen.device
        made = []
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False), threads(1):
            for start in range(0, len(self.positions), _STEP):
                x = torch.from_numpy(self.activations(self.positions[start : start + _STEP]))
                with products(self.precision):
                    made.append(pooled(network.through(x.to(device), learning)).cpu().numpy())
        return np.concatenate(made)


def _all(same: Mapping[str, Float64[np.ndarray, " _"]]) -> dict[str, Float64[np.ndarray, " P"]]:
    """Return the cosines of all pairs as those of one kind more, where there are several kinds."""
    return {ALL: np.concatenate(list(same.values()))} if len(same) > 1 else {}


def _cosines(vectors: Float32[np.ndarray, "N D"], pairs: Pairs) -> Float64[np.ndarray, " P"]:
    return cosine_of_pairs(vectors, vectors, pairs[:, 0], pairs[:, 1])


def _above(cosines: Float64[np.ndarray, " P"], threshold: float | None) -> float | None:
    return None if threshold is None else round(float((cosines >= threshold).mean()), 6)


def told(found: Mapping[str, Any] | None) -> str:
    """Say in a line what `Verification.measure` has found."""
    if found is None:
        return "verification of persons: not measured, as no pair of one person is known, or none of two"
    before, after = (list(found[when]["same"].values())[-1] for when in ("before", "after"))
    strangers = [found[when]["different"]["median"] for when in ("before", "after")]
    return (
        f"verification of persons, before and after: area {before['area']:.5f} and {after['area']:.5f}, found at a "
        f"false-accept rate of {found['false_accepts']:g} {before['found']:.1%} and {after['found']:.1%} of "
        f"{counted(before['pairs'], 'pair')}; median cosine {before['median']:.3f} and {after['median']:.3f}, of other "
        f"persons {strangers[0]:.3f} and {strangers[1]:.3f}"
    )

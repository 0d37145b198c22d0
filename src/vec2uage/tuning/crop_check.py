"""Whether crops are those that vectors were made of, and by the same encoder: told by some of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int

from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.embedders.blocks import Block
from vec2uage.tuning.activations import Frozen
from vec2uage.tuning.crops import original
from vec2uage.tuning.network import base_network

_COMPARED = 32  # faces, photographed and drawn ones each
_AWAY = 0.17  # of how far vectors are from their mean: of the last layer as at a cosine of 0.99


def check_crops(frozen: Frozen, train: VectorSet, place: Mapping[str, int], learning: Sequence[Block]) -> None:
    """Raise UserError where the encoder makes other vectors of the crops of some faces, from all over the set.

    `place` has the positions of crops by name. As many of those that were drawn are compared as of the others.
    """
    is_drawn = np.array([frozen.crops.drawn[place[original(name)]] is not None for name in train.names])
    train = train.take(np.concatenate([_spread(~is_drawn), _spread(is_drawn)]))
    positions = [place[original(name)] for name in train.names]
    with torch.inference_mode():
        inner = torch.from_numpy(frozen.of(np.array(positions)))
        outputs = base_network(frozen.face_net).through(inner, learning)
        made = frozen.face_net.finished(outputs).numpy()
    away = apart(made, train.vectors)
    worst = int(away.argmax())
    if not away[worst] <= _AWAY:  # nor NaN
        raise UserError(
            f"{frozen.crops.files[positions[worst]]} (model.crops) gives another vector than that of "
            f"{train.names[worst]} (away by {away[worst]:.2f} of what faces are from their mean): give the crops "
            "and the weights (model.weights, model.path) that the vectors were made of, and their right name "
            "(dataset.encoder)"
        )


def apart(made: Float32[np.ndarray, "n D"], vectors: Float32[np.ndarray, "n D"]) -> Float32[np.ndarray, " n"]:
    """Return how far vectors of the same faces are from each other, as a share of how far these are from their mean.

    Vectors of an encoder's first blocks are all alike, so that their length says nothing of what is far.
    """
    spread = np.linalg.norm(made - made.mean(axis=0), axis=1).mean()
    away: Float32[np.ndarray, " n"] = np.linalg.norm(made - vectors, axis=1) / max(spread, np.finfo(np.float32).tiny)
    return away


def _spread(mask: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " M"]:
    """Return the positions of some rows of a mask, from all over it."""
    rows = np.flatnonzero(mask)
    return rows[np.linspace(0, len(rows) - 1, min(_COMPARED, len(rows))).astype(int)]

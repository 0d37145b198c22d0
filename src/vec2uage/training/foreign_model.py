"""Imports a network that torch saved, bare or in a checkpoint of pytorch-lightning, as a vec2uage model."""

import re
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.importers import torch_file
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization, NormalizationKind
from vec2uage.training.optimizers.base import Tensors

_KEY = re.compile(r"(?P<prefix>(.*\.)?)(?P<layer>0|[1-9]\d{0,5})\.(?P<part>weight|bias)", re.ASCII)


def load(path: Path, normalization: NormalizationKind, encoder: str) -> NetworkModel:
    """Import the `nn.Sequential` of Linear layers whose weights the file holds, ReLU between them.

    The file says neither which activation its network has nor how its vectors were scaled (`normalization`) and
    made (`encoder`). Nothing in the file is run (see `torch_file`).
    Raises UserError when the file is missing, damaged or holds another kind of network.
    """
    return _convert(torch_file.read(path), path, normalization, encoder)


def _convert(state: Tensors, path: Path, normalization: NormalizationKind, encoder: str) -> NetworkModel:
    """Name the tensors of a Sequential as MLP does, by the order of its layers, and read the widths off them."""
    layers: dict[int, dict[str, Tensor]] = {}
    prefixes = set()
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if match is None or tensor.ndim != {"weight": 2, "bias": 1}[match["part"]]:
            raise UserError(
                f"{path}: {key} {tuple(tensor.shape)} is no part of a Sequential of Linear layers "
                "(0.weight, 0.bias, 2.weight, ...), the only kind of network that is imported"
            )
        if not tensor.is_floating_point():
            raise UserError(f"{path}: {key} holds numbers of type {tensor.dtype}; weights must be floating point")
        prefixes.add(match["prefix"])
        layers.setdefault(int(match["layer"]), {})[match["part"]] = tensor.float()
    if len(prefixes) != 1:
        raise UserError(f"{path} holds {len(prefixes)} networks ({', '.join(sorted(prefixes))}); one can be imported")
    order = sorted(layers)
    for number in order:
        if missing := {"weight", "bias"} - layers[number].keys():
            raise UserError(f"{path}: layer {number} has no {missing.pop()}; every layer needs a weight and a bias")
    if any(after - before == 1 for before, after in pairwise(order)):
        raise UserError(f"{path}: Linear layers follow each other directly; ReLU must stand between (0, 2, 4, ...)")
    widths = [layers[order[0]]["weight"].shape[1], *(len(layers[number]["weight"]) for number in order)]
    for number, (before, after) in zip(order, pairwise(widths), strict=True):
        shapes = [tuple(layers[number][part].shape) for part in ("weight", "bias")]
        if shapes != [(after, before), (after,)]:
            raise UserError(f"{path}: layer {number} of shapes {shapes} does not follow one of width {before}")
    if widths[-1] != 1:
        raise UserError(f"{path}: the last layer gives {widths[-1]} numbers for a face; an age is one number")
    weights = {
        f"layers.{position}.{part}": layers[number][part][None]
        for position, number in enumerate(order)
        for part in ("weight", "bias")
    }
    return NetworkModel(
        model=Component(f"{MLP.__module__}.{MLP.__qualname__}", (("hidden", tuple(widths[1:-1])),)),
        weights=weights,
        dimension=widths[0],
        normalization=Normalization(normalization),
        encoder=encoder,
    )

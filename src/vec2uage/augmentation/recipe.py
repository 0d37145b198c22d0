"""How one face becomes another: operations, how they are combined, and the seed that decides everything else."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from vec2uage.augmentation.ops import Op
from vec2uage.base.errors import UserError
from vec2uage.base.seeds import global_rng, numpy_generator

Combine = Literal["all", "one"]
Ops = tuple[tuple[str, Op], ...]
OPERATIONS = "operations-1"
"""Part of every recipe's fingerprint: to be raised with every change of what the operations of vec2uage do."""


@dataclass(frozen=True)
class Recipe:
    """Operations by name, and how they are combined.

    `all`: each happens with its probability, one after the other, as in Augmentor's pipeline; `one`: exactly one of
    them happens, with its probability as its weight, as in the paper's Table 1.
    """

    ops: Ops
    combine: Combine
    seed: int

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with what changes an augmented face: options, libraries, a user's own classes."""
        described = [OPERATIONS, described_ops(self.ops), self.combine, self.seed]
        foreign = [inspect.getsource(type(op)) for _, op in self.ops if not type(op).__module__.startswith("vec2uage.")]
        return hashlib.sha256(json.dumps([described, _libraries(), foreign]).encode()).hexdigest()[:16]

    def drawn_ops(self, face: str, number: int) -> list[str]:
        """Return the names of the operations that happen to the `number`-th augmentation of a face, in order."""
        generator = numpy_generator(self.seed, "which operations", face, str(number))
        weights = np.array([op.probability for _, op in self.ops])
        if self.combine == "all":
            drawn = generator.random(len(weights))
            return [name for (name, op), value in zip(self.ops, drawn, strict=True) if value < op.probability]
        return [self.ops[generator.choice(len(weights), p=weights / weights.sum())][0]]

    def draw(self, image: UInt8[np.ndarray, "h w 3"], face: str, number: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return the `number`-th augmentation of a face, named by `face`; it depends on nothing else.

        Raises UserError where an operation cannot be done with its options.
        """
        from PIL import Image

        picture, names, operations = Image.fromarray(image), self.drawn_ops(face, number), self._operations
        with global_rng(self.seed, "augmentation", face, str(number)):
            for name in names:
                try:
                    picture = operations[name].perform_operation([picture])[0]
                    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
                except Exception as error:
                    raise UserError(
                        f"augmentation.op.{name} fails on a face of {image.shape[1]}x{image.shape[0]} pixels "
                        f"({type(error).__name__}: {error}): change its options"
                    ) from error
        return np.asarray(picture)

    @cached_property
    def _operations(self) -> Mapping[str, Any]:
        return {name: op.operation() for name, op in self.ops}


def described_ops(ops: Ops) -> list[dict[str, Any]]:
    """Return operations with their names and options, in order, as JSON holds them."""
    return [{"name": name, "op": f"{type(op).__module__}.{type(op).__qualname__}", **asdict(op)} for name, op in ops]


@cache
def _libraries() -> list[str]:
    return [version("Augmentor"), version("pillow"), version("numpy")]

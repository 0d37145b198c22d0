"""Tensors out of a frozen TensorFlow graph (`.pb`), by the names of its nodes and without TensorFlow.

Such a graph holds every number of a network in `Const` nodes. What the network is, and which names its nodes have, is
for the caller to know; this reads nodes, follows inputs and keeps account of the constants that were taken.
"""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from jaxtyping import Float32
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_ndarray

from vec2uage.base.errors import UserError

LARGEST = 1 << 28  # bytes; FaceNet's graphs have about 94 million
_REPEATED = 1 << 20  # bytes that a constant may have whose one number stands for all of them
_FLOAT = 1  # DT_FLOAT in TensorFlow's types.proto


class FrozenGraph:
    """The nodes of one file by name, and which of them were used.

    `expected` says what graph the caller can use, such as "FaceNet graph": every refusal names it, and the node that
    differs. Raises UserError where the file cannot be read or is no frozen graph, and wherever something is asked for
    that it does not have.
    """

    def __init__(self, path: Path, expected: str) -> None:
        self.path, self.expected = path, expected
        graph = GraphDef()
        try:
            if path.stat().st_size > LARGEST:
                raise self.foreign(f"it is {path.stat().st_size >> 20} MB large")
            graph.ParseFromString(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        except DecodeError as error:
            raise UserError(f"{path} is damaged or no frozen TensorFlow graph (.pb)") from error
        self.nodes = {node.name: node for node in graph.node}
        self.used: set[str] = set()
        if len(self.nodes) < len(graph.node):
            raise self.foreign("some of its nodes have the same name")

    def foreign(self, why: str) -> UserError:
        """Return the refusal of a graph that is not the expected one."""
        return UserError(f"{self.path} is no {self.expected}: {why}")

    def node(self, name: str, op: str) -> Any:
        """Return the node of this name, which must be an `op`; it counts as used."""
        if name not in self.nodes:
            raise self.foreign(f"it has no node {name}")
        if self.nodes[name].op != op:
            raise self.foreign(f"node {name} is a {self.nodes[name].op}, not a {op}")
        self.used.add(name)
        return self.nodes[name]

    def source(self, node: Any, index: int) -> Any:
        """Return the node whose value is input `index` of `node`, looking through those that only pass it on."""
        if index >= len(node.input):
            raise self.foreign(f"node {node.name} has {len(node.input)} inputs only")
        found, name = node, node.input[index]
        for _ in self.nodes:  # a circle ends as well
            name = name.partition(":")[0]
            if name not in self.nodes:
                raise self.foreign(f"node {found.name} has an input {name} that does not exist")
            found = self.nodes[name]
            if found.op not in ("Identity", "Switch") or not found.input:
                break
            name = found.input[0]
        return found

    def tensor(self, node: Any) -> Float32[np.ndarray, "..."]:
        """Return the finite numbers of a constant; each constant may be taken once."""
        if node.op != "Const":
            raise self.foreign(f"node {node.name} is a {node.op}, not a constant")
        if node.name in self.used:
            raise self.foreign(f"node {node.name} is used twice")
        self.used.add(node.name)
        values = self._values(node)
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise self.foreign(f"node {node.name} holds other values than finite float32 numbers")
        return values.copy()

    def factor(self, product: Any) -> float | None:
        """Return the one constant number that a product's other input is multiplied by; None where there is none."""
        factors = [factor for factor in (self.source(product, k) for k in (0, 1)) if factor.op == "Const"]
        scales = [self._values(node) for node in factors]
        return float(scales[0]) if len(scales) == 1 and scales[0].shape == () and scales[0].dtype.kind == "f" else None

    def _values(self, node: Any) -> np.ndarray:
        """Return what a constant holds; its shape can say that one number stands for any count of them."""
        tensor = node.attr["value"].tensor
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        if any(size < 0 for size in sizes) or math.prod(sizes) * 4 > max(tensor.ByteSize(), _REPEATED):
            raise self.foreign(f"node {node.name} is said to hold more than it does")
        try:
            return make_ndarray(tensor)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.foreign(f"node {node.name} holds no readable tensor") from error

    def check_leftovers(self, ops: Collection[str]) -> None:
        """Refuse a graph that has weights, or nodes of these `ops`, that were not used."""
        for name, node in self.nodes.items():
            weights = node.op == "Const" and node.attr["dtype"].type == _FLOAT and _numbers(node) > 1
            if name not in self.used and (weights or node.op in ops):
                raise self.foreign(f"there is no place for its node {name}")


def _numbers(node: Any) -> int:
    return math.prod(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)

"""FaceNet's weights out of a frozen TensorFlow graph, without TensorFlow.

Such graphs (D. Sandberg's 20180402-114759.pb and relatives) hold every number of the network in `Const` nodes. In some,
each convolution is followed by a batch norm, its averages behind `Identity` nodes and a switch between training and
inference; in others the batch norm has been folded into the convolution, which leaves a `Conv2D_bn_offset`. Either is
turned into the folded `InceptionResnetV1`. Nodes are found by the names that FaceNet's code gives them, and all that
the names do not prove (shapes, strides, padding, scales, the order of branches) is compared with the network here.
"""

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_ndarray
from torch import Tensor, nn

from vec2uage.base.errors import UserError
from vec2uage.faces.embedders.inception import InceptionResnetV1, Residual, fold_batch_norm

ROOT = "InceptionResnetV1/"
LARGEST = 1 << 30  # bytes; FaceNet's graphs have about 94 million
_BRANCH_17 = {
    "Branch_0/Conv2d_1x1": "branch0",
    "Branch_1/Conv2d_0a_1x1": "branch1.0",
    "Branch_1/Conv2d_0b_1x7": "branch1.1",
    "Branch_1/Conv2d_0c_7x1": "branch1.2",
}
_BRANCH_8 = {scope.replace("1x7", "1x3").replace("7x1", "3x1"): layer for scope, layer in _BRANCH_17.items()}
_BRANCH_35 = {
    "Branch_0/Conv2d_1x1": "branch0",
    "Branch_1/Conv2d_0a_1x1": "branch1.0",
    "Branch_1/Conv2d_0b_3x3": "branch1.1",
    "Branch_2/Conv2d_0a_1x1": "branch2.0",
    "Branch_2/Conv2d_0b_3x3": "branch2.1",
    "Branch_2/Conv2d_0c_3x3": "branch2.2",
}
_SINGLE = {
    "Conv2d_1a_3x3": "conv2d_1a",
    "Conv2d_2a_3x3": "conv2d_2a",
    "Conv2d_2b_3x3": "conv2d_2b",
    "Conv2d_3b_1x1": "conv2d_3b",
    "Conv2d_4a_3x3": "conv2d_4a",
    "Conv2d_4b_3x3": "conv2d_4b",
    "Mixed_6a/Branch_0/Conv2d_1a_3x3": "mixed_6a.branch0",
    "Mixed_6a/Branch_1/Conv2d_0a_1x1": "mixed_6a.branch1.0",
    "Mixed_6a/Branch_1/Conv2d_0b_3x3": "mixed_6a.branch1.1",
    "Mixed_6a/Branch_1/Conv2d_1a_3x3": "mixed_6a.branch1.2",
    "Mixed_7a/Branch_0/Conv2d_0a_1x1": "mixed_7a.branch0.0",
    "Mixed_7a/Branch_0/Conv2d_1a_3x3": "mixed_7a.branch0.1",
    "Mixed_7a/Branch_1/Conv2d_0a_1x1": "mixed_7a.branch1.0",
    "Mixed_7a/Branch_1/Conv2d_1a_3x3": "mixed_7a.branch1.1",
    "Mixed_7a/Branch_2/Conv2d_0a_1x1": "mixed_7a.branch2.0",
    "Mixed_7a/Branch_2/Conv2d_0b_3x3": "mixed_7a.branch2.1",
    "Mixed_7a/Branch_2/Conv2d_1a_3x3": "mixed_7a.branch2.2",
}
RESIDUALS = {
    **{f"Repeat/block35_{k + 1}": (f"repeat_1.{k}", _BRANCH_35) for k in range(5)},
    **{f"Repeat_1/block17_{k + 1}": (f"repeat_2.{k}", _BRANCH_17) for k in range(10)},
    **{f"Repeat_2/block8_{k + 1}": (f"repeat_3.{k}", _BRANCH_8) for k in range(5)},
    "Block8": ("block8", _BRANCH_8),
}
"""Scope in the graph -> residual block of the network, and the convolutions inside."""
CONVOLUTIONS = _SINGLE | {
    f"{scope}/{inner}": f"{block}.{layer}"
    for scope, (block, branches) in RESIDUALS.items()
    for inner, layer in (branches | {"Conv2d_1x1": "conv2d"}).items()
}
"""Scope in the graph -> convolution of the network."""


def read(path: Path) -> InceptionResnetV1:
    """Return the network with the weights of a frozen graph, float32, in evaluation mode.

    Raises UserError where the file cannot be read, is no frozen graph, or is one of another network.
    """
    with torch.device("meta"):  # weights without memory or values, each to be replaced
        network = InceptionResnetV1().eval()
    graph = _Graph(path)
    for scope, layer in CONVOLUTIONS.items():
        graph.fill_convolution(ROOT + scope, cast(nn.Conv2d, network.get_submodule(layer)))
    for scope, (block, _) in RESIDUALS.items():
        graph.check_residual(ROOT + scope, cast(Residual, network.get_submodule(block)))
    graph.check_order(f"{ROOT}Mixed_6a", len(network.mixed_6a.names) + 1)
    graph.check_order(f"{ROOT}Mixed_7a", len(network.mixed_7a.names) + 1)
    graph.fill_linear(f"{ROOT}Bottleneck", network.last_linear)
    graph.check_leftovers()
    return network


class _Graph:
    """The nodes of one file by name, and which of them were used."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
        return UserError(f"{self.path} is no FaceNet graph with 512 outputs (Inception-ResNet-v1): {why}")

    def node(self, name: str, op: str) -> Any:
        if name not in self.nodes:
            raise self.foreign(f"it has no node {name}")
        if self.nodes[name].op != op:
            raise self.foreign(f"node {name} is a {self.nodes[name].op}, not a {op}")
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

    def take(self, node: Any) -> Tensor:
        """Return the float32 tensor of a constant; each constant may be taken once."""
        if node.op != "Const":
            raise self.foreign(f"node {node.name} is a {node.op}, not a constant")
        if node.name in self.used:
            raise self.foreign(f"node {node.name} is used twice")
        self.used.add(node.name)
        try:
            values = make_ndarray(node.attr["value"].tensor)
        except (TypeError, ValueError) as error:
            raise self.foreign(f"node {node.name} holds no readable tensor") from error
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise self.foreign(f"node {node.name} holds other values than finite float32 numbers")
        return torch.from_numpy(values.copy())

    def fill_convolution(self, scope: str, layer: nn.Conv2d) -> None:
        """Copy one convolution with the bias or batch norm behind it."""
        node = self.node(f"{scope}/Conv2D", "Conv2D")
        self.used.add(node.name)
        strides, padding = list(node.attr["strides"].list.i), node.attr["padding"].s.decode(errors="replace")
        same = any(layer.padding)
        if strides != [1, *layer.stride, 1] or (layer.kernel_size != (1, 1) and (padding == "SAME") != same):
            raise self.foreign(f"node {node.name} has the strides {strides} and the padding {padding!r}")
        weight = self.take(self.source(node, 1))
        if weight.ndim == 4:
            weight = weight.permute(3, 2, 0, 1)
        biases = [self.nodes[name] for name in (f"{scope}/biases", f"{scope}/Conv2D_bn_offset") if name in self.nodes]
        bias = self.take(biases[0]) if biases else None
        self.fill(scope, layer, weight, bias)

    def fill_linear(self, scope: str, layer: nn.Linear) -> None:
        """Copy the last layer with its batch norm."""
        node = self.node(f"{scope}/MatMul", "MatMul")
        self.used.add(node.name)
        if node.attr["transpose_a"].b or node.attr["transpose_b"].b:
            raise self.foreign(f"node {node.name} transposes its inputs")
        self.fill(scope, layer, self.take(self.source(node, 1)).T, None)

    def fill(self, scope: str, layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
        """Copy `weight` and `bias` to `layer`; without `bias`, what the scope's batch norm makes of `weight`."""
        if weight.shape != layer.weight.shape:
            shapes = f"{tuple(weight.shape)}, not {tuple(layer.weight.shape)}"
            raise self.foreign(f"the weights of {scope} have the shape {shapes}")
        if bias is None:
            weight, bias = self.batch_norm(f"{scope}/BatchNorm/", weight)
        if len(bias) != len(weight):
            raise self.foreign(f"{scope} has {len(bias)} offsets, not {len(weight)}")
        layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        layer.bias = nn.Parameter(bias, requires_grad=False)

    def batch_norm(self, scope: str, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a layer whose batch norm, in inference, is folded in."""
        norms = [
            node
            for name, node in self.nodes.items()
            if name.startswith(scope) and node.op.startswith("FusedBatchNorm") and not node.attr["is_training"].b
        ]
        if len(norms) != 1:
            raise self.foreign(f"{scope} has {len(norms)} batch norms, not one")
        gamma, beta, mean, variance = (self.take(self.source(norms[0], k)) for k in range(1, 5))
        if any(part.shape != weight.shape[:1] for part in (gamma, beta, mean, variance)) or (variance < 0).any():
            raise self.foreign(f"{scope} does not hold {len(weight)} averages and variances")
        return fold_batch_norm(weight, gamma, beta, mean, variance, norms[0].attr["epsilon"].f)

    def check_residual(self, scope: str, block: Residual) -> None:
        """Compare a residual block's scale, activation and order of branches with those of the network."""
        self.check_order(scope, len(block.names))
        product = self.node(f"{scope}/mul", "Mul")
        factors = [factor for factor in (self.source(product, k) for k in (0, 1)) if factor.op == "Const"]
        scales = [make_ndarray(node.attr["value"].tensor) for node in factors]
        if len(scales) != 1 or scales[0].shape != () or abs(scales[0] - block.scale) > 1e-6:
            raise self.foreign(f"node {scope}/mul does not scale by {block.scale}")
        if (f"{scope}/Relu" in self.nodes) != block.relu:
            raise self.foreign(f"{scope} ends {'without' if block.relu else 'with'} a ReLU")

    def check_order(self, scope: str, branches: int) -> None:
        """Check that the outputs of the branches are joined in the order of their numbers."""
        node = self.node(f"{scope}/concat", "ConcatV2")
        joined = [self.source(node, k).name for k in range(branches)]
        if not all(name.startswith(f"{scope}/Branch_{k}/") for k, name in enumerate(joined)):
            raise self.foreign(f"node {scope}/concat joins other branches: {', '.join(joined)}")

    def check_leftovers(self) -> None:
        """Refuse a graph that computes with weights of which the network knows nothing."""
        for name, node in self.nodes.items():
            weights = node.op == "Const" and node.attr["dtype"].type == _FLOAT and _numbers(node) > 1
            if name not in self.used and (weights or node.op in ("Conv2D", "DepthwiseConv2dNative", "MatMul")):
                raise self.foreign(f"there is no place for its node {name}")


_FLOAT = 1  # DT_FLOAT in TensorFlow's types.proto


def _numbers(node: Any) -> int:
    return math.prod(dim.size for dim in node.attr["value"].tensor.tensor_shape.dim)

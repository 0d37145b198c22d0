"""FaceNet out of a frozen TensorFlow graph: which node of the graph is which layer of `InceptionResnetV1`.

In some of these graphs (D. Sandberg's 20180402-114759.pb and relatives) each convolution is followed by a batch norm,
its averages behind `Identity` nodes and a switch between training and inference; in others the batch norm has been
folded into the convolution, which leaves a `Conv2D_bn_offset`. Either is turned into the folded network. Nodes are
found by the names that FaceNet's code gives them, and all that the names do not prove (shapes, strides, padding,
scales, the order of branches) is compared with the network here.
"""

from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vec2uage.faces.embedders.inception import EPSILON, InceptionResnetV1, Residual, fold_batch_norm
from vec2uage.importers.frozen_graph import FrozenGraph

EXPECTED = "FaceNet graph with 512 outputs (Inception-ResNet-v1)"
ROOT = "InceptionResnetV1/"
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


def load_graph(path: Path) -> InceptionResnetV1:
    """Return the network with the weights of a frozen graph, float32, in evaluation mode.

    Raises UserError where the file cannot be read, is no frozen graph, or is one of another network.
    """
    with torch.device("meta"):  # weights without memory or values, each to be replaced
        network = InceptionResnetV1().eval()
    graph = FrozenGraph(path, EXPECTED)
    for scope, layer in CONVOLUTIONS.items():
        _fill_convolution(graph, ROOT + scope, cast(nn.Conv2d, network.get_submodule(layer)))
    for scope, (block, _) in RESIDUALS.items():
        _check_residual(graph, ROOT + scope, cast(Residual, network.get_submodule(block)))
    _check_order(graph, f"{ROOT}Mixed_6a", len(network.mixed_6a.names) + 1)
    _check_order(graph, f"{ROOT}Mixed_7a", len(network.mixed_7a.names) + 1)
    _fill_linear(graph, f"{ROOT}Bottleneck", network.last_linear)
    graph.check_leftovers(("Conv2D", "DepthwiseConv2dNative", "MatMul"))
    return network


def unfolded(path: Path) -> dict[str, Tensor]:
    """Return the layers whose batch norm a graph that `load_graph` takes still has, each with it.

    Names are those of facenet-pytorch, `block8.branch0.conv.weight` and `block8.branch0.bn.running_mean`, that of the
    last layer `last_linear.conv.weight`; epsilon is `inception.EPSILON`.
    """
    graph, found = FrozenGraph(path, EXPECTED), dict[str, Tensor]()
    for scope, layer in (CONVOLUTIONS | {"Bottleneck": "last_linear"}).items():
        scope = ROOT + scope
        if not _batch_norms(graph, f"{scope}/BatchNorm/"):
            continue
        product = graph.nodes[f"{scope}/{'MatMul' if layer == 'last_linear' else 'Conv2D'}"]
        weight = _tensor(graph, graph.source(product, 1))
        weight = (weight.T if weight.ndim == 2 else weight.permute(3, 2, 0, 1)).contiguous()
        gamma, beta, mean, variance, epsilon = _batch_norm(graph, f"{scope}/BatchNorm/", len(weight))
        norm = {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance + (epsilon - EPSILON)}
        found |= {f"{layer}.conv.weight": weight, **{f"{layer}.bn.{name}": values for name, values in norm.items()}}
    return found


def _fill_convolution(graph: FrozenGraph, scope: str, layer: nn.Conv2d) -> None:
    """Copy one convolution with the bias or batch norm behind it."""
    node = graph.node(f"{scope}/Conv2D", "Conv2D")
    strides, padding = list(node.attr["strides"].list.i), node.attr["padding"].s.decode(errors="replace")
    same = any(layer.padding)
    if strides != [1, *layer.stride, 1] or (layer.kernel_size != (1, 1) and (padding == "SAME") != same):
        raise graph.foreign(f"node {node.name} has the strides {strides} and the padding {padding!r}")
    weight = _tensor(graph, graph.source(node, 1))
    if weight.ndim == 4:
        weight = weight.permute(3, 2, 0, 1)
    biases = [graph.nodes[name] for name in (f"{scope}/biases", f"{scope}/Conv2D_bn_offset") if name in graph.nodes]
    _fill(graph, scope, layer, weight, _tensor(graph, biases[0]) if biases else None)


def _fill_linear(graph: FrozenGraph, scope: str, layer: nn.Linear) -> None:
    """Copy the last layer with its batch norm."""
    node = graph.node(f"{scope}/MatMul", "MatMul")
    if node.attr["transpose_a"].b or node.attr["transpose_b"].b:
        raise graph.foreign(f"node {node.name} transposes its inputs")
    _fill(graph, scope, layer, _tensor(graph, graph.source(node, 1)).T, None)


def _fill(
    graph: FrozenGraph,
    scope: str,
    layer: nn.Conv2d | nn.Linear,
    weight: Float[Tensor, "..."],
    bias: Float[Tensor, "..."] | None,
) -> None:
    """Copy `weight` and `bias` to `layer`; without `bias`, what the scope's batch norm makes of `weight`."""
    if weight.shape != layer.weight.shape:
        shapes = f"{tuple(weight.shape)}, not {tuple(layer.weight.shape)}"
        raise graph.foreign(f"the weights of {scope} have the shape {shapes}")
    if bias is None:
        weight, bias = fold_batch_norm(weight, *_batch_norm(graph, f"{scope}/BatchNorm/", len(weight)))
    if len(bias) != len(weight):
        raise graph.foreign(f"{scope} has {len(bias)} offsets, not {len(weight)}")
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)


def _batch_norms(graph: FrozenGraph, scope: str) -> list[Any]:
    """Return the batch norms of a scope that are those of inference."""
    return [
        node
        for name, node in graph.nodes.items()
        if name.startswith(scope) and node.op.startswith("FusedBatchNorm") and not node.attr["is_training"].b
    ]


def _batch_norm(graph: FrozenGraph, scope: str, outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Return gamma, beta, mean, variance and epsilon of the one batch norm behind a layer."""
    norms = _batch_norms(graph, scope)
    if len(norms) != 1:
        raise graph.foreign(f"{scope} has {len(norms)} batch norms, not one")
    gamma, beta, mean, variance = (_tensor(graph, graph.source(norms[0], k)) for k in range(1, 5))
    if any(values.shape != (outputs,) for values in (gamma, beta, mean, variance)) or (variance < 0).any():
        raise graph.foreign(f"{scope} does not hold {outputs} averages and variances")
    return gamma, beta, mean, variance, norms[0].attr["epsilon"].f


def _check_residual(graph: FrozenGraph, scope: str, block: Residual) -> None:
    """Compare a residual block's scale, activation and order of branches with those of the network."""
    _check_order(graph, scope, len(block.names))
    scale = graph.factor(graph.node(f"{scope}/mul", "Mul"))
    if scale is None or abs(scale - block.scale) > 1e-6:
        raise graph.foreign(f"node {scope}/mul does not scale by {block.scale}")
    if (f"{scope}/Relu" in graph.nodes) != block.relu:
        raise graph.foreign(f"{scope} ends {'without' if block.relu else 'with'} a ReLU")


def _check_order(graph: FrozenGraph, scope: str, branches: int) -> None:
    """Check that the outputs of the branches are joined in the order of their numbers."""
    node = graph.node(f"{scope}/concat", "ConcatV2")
    joined = [graph.source(node, k).name for k in range(branches)]
    if not all(name.startswith(f"{scope}/Branch_{k}/") for k, name in enumerate(joined)):
        raise graph.foreign(f"node {scope}/concat joins other branches: {', '.join(joined)}")


def _tensor(graph: FrozenGraph, node: Any) -> Float[Tensor, "..."]:
    return torch.from_numpy(graph.tensor(node))

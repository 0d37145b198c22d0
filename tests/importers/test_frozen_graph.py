"""Frozen graphs: nodes by name, inputs followed, constants taken once, and a sentence for any other file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util.tensor_util import make_tensor_proto

from vec2uage.base.errors import UserError
from vec2uage.importers.frozen_graph import FrozenGraph

WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)


def constant(graph: GraphDef, name: str, values: Any) -> None:
    attributes = graph.node.add(name=name, op="Const").attr
    attributes["value"].tensor.CopyFrom(make_tensor_proto(values))
    attributes["dtype"].type = attributes["value"].tensor.dtype


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A product of weights, behind a switch, with two."""
    graph = GraphDef()
    constant(graph, "weights", WEIGHTS)
    constant(graph, "two", np.float32(2))
    graph.node.add(name="read", op="Identity", input=["weights"])
    graph.node.add(name="switch", op="Switch", input=["read", "phase"])
    graph.node.add(name="product", op="Mul", input=["switch:1", "two"])
    path = tmp_path / "file.pb"
    path.write_bytes(graph.SerializeToString())
    return path


def test_tensors_are_found_behind_nodes_that_pass_them_on(file: Path) -> None:
    graph = FrozenGraph(file, "toy graph")
    product = graph.nodes["product"]
    assert graph.factor(product) is None  # both inputs are constants
    with pytest.raises(UserError, match="no toy graph: there is no place for its node weights"):
        graph.check_leftovers(())
    np.testing.assert_array_equal(graph.tensor(graph.source(product, 0)), WEIGHTS)
    with pytest.raises(UserError, match="weights is used twice"):
        graph.tensor(graph.source(product, 0))
    with pytest.raises(UserError, match="place for its node product"):
        graph.check_leftovers(("Mul",))
    assert graph.node("product", "Mul") == product
    graph.check_leftovers(("Mul",))


def test_what_is_not_there_is_refused_by_name(file: Path) -> None:
    graph = FrozenGraph(file, "toy graph")
    for ask, why in (
        (lambda: graph.node("sum", "Add"), "no node sum"),
        (lambda: graph.node("product", "Add"), "product is a Mul, not a Add"),
        (lambda: graph.source(graph.nodes["product"], 2), "product has 2 inputs only"),
        (lambda: graph.source(graph.nodes["switch"], 1), "an input phase that does not exist"),
    ):
        with pytest.raises(UserError, match=rf"file\.pb is no toy graph: .*{why}"):
            ask()


def test_a_file_that_is_no_whole_graph_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for content in (b"not a graph", b"\x00" * 100, bytes(range(256)), whole[: len(whole) // 2], whole[:-1]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"file\.pb is damaged"):
            FrozenGraph(file, "toy graph")
    file.write_bytes(whole + whole)
    with pytest.raises(UserError, match="same name"):
        FrozenGraph(file, "toy graph")


@pytest.mark.parametrize("sizes", [(10**12,), (2**31, 2**31), (-1,), (-(2**40), -(2**40)), (3,)])
def test_a_shape_is_not_believed(sizes: tuple[int, ...], file: Path) -> None:
    """A constant whose numbers are all alike holds one of them, and its shape says of how many."""
    graph = GraphDef.FromString(file.read_bytes())
    for node in graph.node:
        if node.name in ("weights", "two"):
            del node.attr["value"].tensor.tensor_shape.dim[:]
            for size in sizes:
                node.attr["value"].tensor.tensor_shape.dim.add(size=size)
    file.write_bytes(graph.SerializeToString())
    found = FrozenGraph(file, "toy graph")
    for ask in (lambda: found.tensor(found.nodes["weights"]), lambda: found.factor(found.nodes["product"])):
        with pytest.raises(UserError, match=r"node weights (holds no readable tensor|is said to hold more)"):
            ask()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pb", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            FrozenGraph(path, "toy graph")
    with (tmp_path / "huge.pb").open("wb") as huge:
        huge.truncate(3 << 30)
    with pytest.raises(UserError, match="3072 MB large"):
        FrozenGraph(tmp_path / "huge.pb", "toy graph")

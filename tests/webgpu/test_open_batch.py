"""Layers whose rows are counted by arithmetic on shapes, as Keras writes Dense on an open batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.passes._known_shapes import known_shapes

WIDTH = 8


class Dense:
    """Builds layers: (sizes but the last multiplied, width) → dense → the shape of before; + what came in."""

    def __init__(self) -> None:
        self.tensors = [Tensor("x", TensorType((1, 5, WIDTH), DType.FLOAT32), shape_signature=(-1, 5, WIDTH))]
        self.nodes: list[Node] = []

    def constant(self, values: np.ndarray) -> int:
        self.tensors.append(Tensor("", TensorType(values.shape, DType(values.dtype.name)), values))
        return len(self.tensors) - 1

    def op(
        self, kind: str, inputs: tuple[int, ...], like: TensorType, options: str = "", **attrs: object
    ) -> int:
        unknown = (-1,) * len(like.shape)
        self.tensors.append(Tensor(f"{kind}_{len(self.nodes)}", like, shape_signature=unknown))
        self.nodes.append(Node(kind, inputs, (len(self.tensors) - 1,), attrs, options))
        return len(self.tensors) - 1

    def layer(self, x: int) -> int:
        whole = lambda *shape: TensorType(shape, DType.INT32)  # noqa: E731
        real = lambda *shape: TensorType(shape, DType.FLOAT32)  # noqa: E731
        sizes = self.op("SHAPE", (x,), whole(3), "ShapeOptions", out_type="int32")
        first = self.op(
            "GATHER", (sizes, self.constant(np.array([0, 1], np.int32))), whole(2), "GatherOptions"
        )
        axis = self.constant(np.array([0], np.int32))
        rows = self.op("REDUCE_PROD", (first, axis), whole(), "ReducerOptions", keep_dims=False)
        last = self.constant(np.array(WIDTH, np.int32))
        shape = self.op("PACK", (rows, last), whole(2), "PackOptions", axis=0, values_count=2)
        flat = self.op("RESHAPE", (x, shape), real(5, WIDTH), "ReshapeOptions")
        weights = self.constant(np.ones((WIDTH, WIDTH), np.float32))
        product = self.op("FULLY_CONNECTED", (flat, weights, -1), real(5, WIDTH), "FullyConnectedOptions")
        back = self.op("RESHAPE", (product, sizes), real(1, 5, WIDTH), "ReshapeOptions")
        return self.op("ADD", (back, x), real(1, 5, WIDTH), "AddOptions")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layers", [1, 6])
def test_every_size_is_known_at_any_batch(batch: int, layers: int) -> None:
    net = Dense()
    x = 0
    for _ in range(layers):
        x = net.layer(x)
    model = Model((Graph(tuple(net.tensors), tuple(net.nodes), (0,), (x,)),))
    graph = at_shapes(model, [(batch, 5, WIDTH)]).main
    written = [graph.tensors[i] for node in graph.nodes for i in node.outputs]
    assert [t.name for t in written if -1 in t.shape_signature] == []
    assert {t.shape for t in written} == {(5 * batch, WIDTH), (batch, 5, WIDTH)}


def test_sizes_that_may_change_stay_unknown() -> None:
    net = Dense()
    model = Model((Graph(tuple(net.tensors), (), (0,), (0,)),))
    x = net.layer(0)
    graph = replace(model.main, tensors=tuple(net.tensors), nodes=tuple(net.nodes), outputs=(x,))
    shapes = known_shapes(graph)
    told = {node.op: shapes.get(node.outputs[0]) for node in graph.nodes}
    assert told["FULLY_CONNECTED"] == (-1, WIDTH)
    assert told["ADD"] == (-1, 5, WIDTH)

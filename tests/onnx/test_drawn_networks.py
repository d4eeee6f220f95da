"""Whole networks, drawn: no TRANSPOSE is left inside, names stay, and the answers are ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from onnx import helper

from sanderling.convert.finish import finish
from sanderling.graph.graph import Model
from tests.onnx.drawing import Numbers, numbers, opsets
from tests.onnx.oracle import WHOLE, assert_alike, both, imported, model_of, operators

EXAMPLES = settings(max_examples=25)


@dataclass
class Drawn:
    """An ONNX network that grows node by node; ``shape`` is the current value's."""

    draw: Numbers
    shape: tuple[int, ...]
    last: str = "image"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, op: str, *more: str, shape: Sequence[int] | None = None, **attrs: object) -> str:
        out = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *more], [out], name=out, **attrs))
        self.last, self.shape = out, tuple(shape or self.shape)
        return out

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = values
        return name

    def conv(self, filters: int, kernel: int = 3, stride: int = 1, group: int = 1) -> str:
        n, c, h, w = self.shape
        weights = self.draw.real(filters, c // group, kernel, kernel) / np.float32(
            kernel * (c // group) ** 0.5
        )
        pad = kernel // 2
        size = [(s + 2 * pad - kernel) // stride + 1 for s in (h, w)]
        operands = [self.constant(weights.astype(np.float32)), self.constant(self.draw.real(filters))]
        return self.node("Conv", *operands, shape=(n, filters, *size), group=group, pads=[pad] * 4,
                         strides=[stride] * 2)  # fmt: skip

    def model(self, feeds: dict[str, np.ndarray], opset: int, *outputs: str) -> onnx.ModelProto:
        return model_of(self.nodes, feeds, self.constants, outputs or (self.last,), opset)


def block(net: Drawn, data: DataObject) -> None:
    """Adds what stands between two convolutions."""
    n, c, h, w = net.shape
    what = data.draw(st.sampled_from(BETWEEN))
    if what == "batch norm":
        values = [net.draw.real(c), net.draw.real(c), net.draw.real(c), net.draw.real(c, low=0.2)]
        net.node("BatchNormalization", *map(net.constant, values))
    elif what == "activation":
        net.node(data.draw(st.sampled_from(["Relu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "Softplus"])))
    elif what == "prelu":
        net.node("PRelu", net.constant(net.draw.real(c, 1, 1)))
    elif what == "residual":
        before = net.last
        net.conv(c)
        net.node("Add", before)
    elif what == "concat":
        before = net.last
        net.conv(4, 1)
        net.node("Concat", before, shape=(n, 4 + c, h, w), axis=data.draw(st.sampled_from([1, -3])))
    elif what == "squeeze and excite":
        before = net.last
        net.node("GlobalAveragePool", shape=(n, c, 1, 1))
        net.conv(4, 1)
        net.node("Relu")
        net.conv(c, 1)
        net.node("Sigmoid")
        net.node("Mul", before, shape=(n, c, h, w))
    elif what == "pool" and min(h, w) >= 4:
        op = data.draw(st.sampled_from(["MaxPool", "AveragePool"]))
        net.node(op, shape=(n, c, h // 2, w // 2), kernel_shape=[2, 2], strides=[2, 2])
    elif what == "pad":
        net.node(
            "Pad", net.constant(np.array([0, 0, 1, 0, 0, 0, 2, 1], np.int64)), shape=(n, c, h + 3, w + 1)
        )
    elif what == "upsample" and h * w < 200:
        scales, mode = (
            net.constant(np.array([1, 1, 2, 2], np.float32)),
            st.sampled_from(["nearest", "linear"]),
        )
        net.node(
            "Resize",
            "",
            scales,
            shape=(n, c, 2 * h, 2 * w),
            mode=data.draw(mode),
        )
    elif what == "softmax over channels":
        net.node("Softmax", axis=1)
    elif what == "mean over channels":
        net.node("Mul", net.constant(net.draw.real(1, c, 1, 1)))
        net.node("Sub", net.constant(net.draw.real(c, 1, 1)))
    elif what == "slice":
        operands = [net.constant(np.array(v, np.int64)) for v in ([0], [max(1, c - 1)], [1])]
        net.node("Slice", *operands, shape=(n, max(1, c - 1), h, w))
    elif what == "flat and back":
        shape = net.constant(np.array([n, c, h * w], np.int64))
        net.node("Reshape", shape, shape=(n, c, h * w))
        net.node("Relu")
        net.node("Reshape", net.constant(np.array([n, c, h, w], np.int64)), shape=(n, c, h, w))
    elif what == "norm over groups" and c % 2 == 0:
        net.node("Reshape", net.constant(np.array([0, 2, -1], np.int64)))
        net.node("InstanceNormalization", *(net.constant(net.draw.real(2)) for _ in range(2)))
        net.node("Reshape", net.constant(np.array([n, c, h, w], np.int64)))


BETWEEN = (
    "batch norm", "activation", "prelu", "residual", "concat", "squeeze and excite", "pool", "pad",
    "upsample", "softmax over channels", "mean over channels", "slice", "flat and back", "norm over groups",
)  # fmt: skip


def inner(model: Model) -> list[str]:
    """Returns: the operators between the first and the last convolution."""
    ops = operators(model)
    places = [i for i, op in enumerate(ops) if op in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    return ops[places[0] : places[-1]]


@EXAMPLES
@given(st.data(), numbers, opsets(13), st.booleans())
def test_no_transpose_is_left_between_convolutions(
    folder: Path, data: DataObject, draw: Numbers, opset: int, last: bool
) -> None:
    net = Drawn(draw, (data.draw(st.integers(1, 2)), 3, 9, 8))
    image = draw.real(*net.shape)
    net.conv(data.draw(st.sampled_from([4, 8])), stride=data.draw(st.integers(1, 2)))
    for _ in range(data.draw(st.integers(1, 4))):
        block(net, data)
        c = net.shape[1]
        net.conv(c, group=c) if data.draw(st.booleans()) else net.conv(6)
    pair = both(net.model({"image": image}, opset), {"image": image}, folder, last=last)
    assert_alike(pair, WHOLE)
    assert "TRANSPOSE" not in inner(pair.model)
    # One at each edge where the source's layout is kept, none where images have channels last.
    assert operators(pair.model).count("TRANSPOSE") <= (0 if last else 2)


@EXAMPLES
@given(st.data(), numbers, opsets(13), st.sampled_from(["Flatten", "GlobalAveragePool", "Reshape"]))
def test_a_classifier_turns_nothing_but_its_input(
    folder: Path, data: DataObject, draw: Numbers, opset: int, head: str
) -> None:
    net = Drawn(draw, (1, 3, 8, 8))
    image = draw.real(*net.shape)
    net.conv(4)
    block(net, data)
    net.conv(5, stride=2)
    n, c, h, w = net.shape
    if head == "GlobalAveragePool":
        net.node(head, shape=(n, c, 1, 1))
        h = w = 1
    if head == "Reshape":
        net.node(head, net.constant(np.array([n, -1], np.int64)), shape=(n, c * h * w))
    else:
        net.node("Flatten", shape=(n, c * h * w))
    net.node("Gemm", net.constant(draw.real(7, c * h * w) / 9), net.constant(draw.real(7)), transB=1)
    net.node("Softmax")
    pair = both(net.model({"image": image}, opset), {"image": image}, folder, last=True)
    assert_alike(pair, WHOLE)
    assert "TRANSPOSE" not in operators(pair.model)


def test_several_inputs_and_outputs_keep_their_names(folder: Path) -> None:
    draw = Numbers(1)
    net = Drawn(draw, (1, 3, 6, 5))
    feeds = {"image": draw.real(1, 3, 6, 5), "scale": draw.real(4, 1, 1), "ids": np.array([[3, 0, 2]])}
    net.conv(4)
    net.node("Mul", "scale")
    scaled = net.last
    net.conv(2)
    table = net.constant(draw.real(5, 8))
    net.nodes.append(helper.make_node("Gather", [table, "ids"], ["rows"]))
    model = net.model(feeds, 17, net.last, scaled, "rows", "ids")
    pair = both(model, feeds, folder)
    assert_alike(pair, WHOLE)
    (signature,) = finish(imported(model, folder).model).signatures
    assert [name for name, _ in signature.inputs] == ["image", "scale", "ids"]
    assert [name for name, _ in signature.outputs] == [net.last, scaled, "rows", "ids"]
    made = imported(model, folder, last=True)
    graph = made.model.main
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    assert shapes == [(1, 6, 5, 3), (4, 1, 1), (1, 3)]


def test_sizes_that_the_graph_works_out_itself_are_folded(folder: Path) -> None:
    """Shape → Gather → Concat → Reshape, as exporters write a flatten."""
    draw = Numbers(2)
    net = Drawn(draw, (2, 3, 4, 5))
    image = draw.real(*net.shape)
    net.conv(4)
    value = net.last
    net.node("Shape")
    net.node("Gather", net.constant(np.array(0, np.int64)), axis=0)
    net.node("Unsqueeze", net.constant(np.array([0], np.int64)))
    net.node("Concat", net.constant(np.array([-1], np.int64)), axis=0)
    shape, net.last = net.last, value
    net.node("Reshape", shape)
    pair = both(net.model({"image": image}, 17), {"image": image}, folder)
    assert_alike(pair, WHOLE)
    assert set(operators(pair.model)) <= {"TRANSPOSE", "CONV_2D", "RESHAPE"}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("answer", [True, False])
def test_a_branch_is_taken_where_the_condition_is_known(folder: Path, known: bool, answer: bool) -> None:
    from sanderling.errors import UnsupportedOperator

    x = Numbers(3).real(2, 3)

    def graph(op: str) -> onnx.GraphProto:
        made = helper.make_node(op, ["x"], [f"{op}_y"])
        return helper.make_graph([made], op, [], [onnx.ValueInfoProto(name=f"{op}_y")])

    node = helper.make_node("If", ["c"], ["y"], then_branch=graph("Relu"), else_branch=graph("Neg"))
    feeds, held = {"x": x}, {"c": np.array(answer)}
    if not known:
        feeds, held = feeds | held, {}
        with pytest.raises(UnsupportedOperator, match="its condition is known only in a run"):
            imported(model_of([node], feeds, held, ["y"], 17), folder)
        return
    pair = both(model_of([node], feeds, held, ["y"], 17), feeds, folder)
    assert_alike(pair)
    assert operators(pair.model) == ["RELU" if answer else "NEG"]

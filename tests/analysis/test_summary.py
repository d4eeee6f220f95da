"""Totals of models, against what their papers say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sanderling.analysis.cost import rows
from sanderling.analysis.summary import summarize
from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.graph.verify import verify
from sanderling.ops.registry import names
from sanderling.tflite import read
from tests.analysis.networks import Network, efficientnet_b0

MILLION = 1e6


def test_efficientnet_b0_is_what_its_paper_says() -> None:
    summary = summarize(efficientnet_b0())
    assert summary.parameters == pytest.approx(5.3 * MILLION, rel=0.02)
    assert summary.macs == pytest.approx(390 * MILLION, rel=0.02)
    assert summary.precision == "float32"
    assert summary.is_float
    assert not summary.unknown


@pytest.mark.parametrize(
    "name, dtype", [("mobilenet_v2_224_int8", "int8"), ("mobilenet_v2_224_uint8", "uint8")]
)
def test_mobilenet_v2_is_what_its_paper_says(zoo_dir: Path, name: str, dtype: str) -> None:
    """Source: Sandler et al., MobileNetV2, table 4: 3.4 M parameters (3.5 M with biases), 300 M MACs."""
    summary = summarize(read(zoo_dir / "tflite" / f"{name}.tflite"))
    assert summary.parameters == pytest.approx(3.5 * MILLION, rel=0.02)
    assert summary.macs == pytest.approx(300 * MILLION, rel=0.02)
    assert summary.precision == dtype
    assert not summary.is_float


def test_weights_in_float16_count_as_those_in_float32(zoo_dir: Path) -> None:
    twins = [summarize(read(zoo_dir / "tflite" / f"face_landmark_fp{bits}.tflite")) for bits in (16, 32)]
    assert twins[0].parameters == twins[1].parameters
    assert twins[0].macs == twins[1].macs
    assert twins[0].peak_live_bytes == twins[1].peak_live_bytes
    assert twins[0].weight_bytes * 2 == twins[1].weight_bytes
    assert [twin.precision for twin in twins] == ["float16", "float32"]


def test_every_real_model_can_be_analysed(zoo_dir: Path) -> None:
    for path in sorted((zoo_dir / "tflite").glob("*.tflite")):
        model = read(path)
        summary = summarize(model)
        assert summary.parameters > 0, path.name
        assert summary.macs > 0, path.name
        for graph in model.graphs:
            table = rows(graph, model)
            assert len(table) == len(graph.nodes)
        table = rows(model.main, model)
        assert sum(row.parameters for row in table) == summary.parameters, path.name
        assert max(row.live_bytes for row in table) == summary.peak_live_bytes
        assert {row.kind for row in table if row.macs is None} == set(summary.unknown)


def small() -> Network:
    net = Network(1, 8, 8, 3)
    net.dense(net.mean(net.conv(0, 4, 3), keep=False), 5)
    return net


def test_only_weights_and_biases_are_parameters() -> None:
    """The axes of MEAN are a constant too, and none."""
    summary = summarize(small().model())
    assert summary.parameters == 3 * 3 * 3 * 4 + 4 + 4 * 5 + 5
    assert summary.macs == 8 * 8 * 4 * 27 + 4 * 5
    assert summary.operators == (("CONV_2D", 1), ("FULLY_CONNECTED", 1), ("MEAN", 1))


def test_shared_weights_count_once() -> None:
    net = Network(1, 4, 4, 3)
    weights, bias = net.weights(3, 1, 1, 3), net.weights(3)
    attrs = {"padding": "SAME", "stride_h": 1, "stride_w": 1}
    once = net.call("CONV_2D", 0, weights, bias, **attrs)
    net.call("CONV_2D", once, weights, bias, **attrs)
    table = rows(net.model().main)
    assert [row.parameters for row in table] == [12, 0]
    assert summarize(net.model()).parameters == 12
    # Two tensors may also be views of one buffer of the file.
    twin = replace(net.tensors[weights], name="view")
    net.tensors.append(twin)
    net.call("CONV_2D", net.last, len(net.tensors) - 1, bias, **attrs)
    assert summarize(net.model()).parameters == 12


def test_weights_behind_dequantize_count_once_and_cost_no_memory() -> None:
    net = Network(1, 4, 4, 3)
    stored = net.constant(np.zeros((5, 1, 1, 3), np.float16))
    weights = net.call("DEQUANTIZE", stored)
    net.call("CONV_2D", 0, weights, -1, padding="SAME", stride_h=1, stride_w=1)
    unpack, conv = rows(net.model().main)
    assert (unpack.parameters, unpack.ops, unpack.note) == (0, 0, "computed once, from constants")
    assert (conv.parameters, conv.weight_bytes, conv.macs) == (15, 30, 16 * 15)
    assert conv.live_bytes == (48 + 80) * 4
    assert summarize(net.model()).precisions == ("float16",)


def quantized(
    name: str, shape: tuple[int, ...], *, stored: bool = False, dtype: DType = DType.INT8
) -> Tensor:
    data = np.zeros(shape, dtype.numpy) if stored else None
    return Tensor(name, TensorType(shape, dtype, Quant.of(0.1)), data)


@pytest.mark.parametrize(
    "activation, precision",
    [(DType.INT8, "int8"), (DType.INT16, "int16x8"), (DType.FLOAT32, "dynamic int8")],
)
def test_precision_of_quantized_layers(activation: DType, precision: str) -> None:
    x, y = (replace(quantized(name, (1, 4), dtype=activation)) for name in "xy")
    graph = Graph(
        (x, quantized("w", (4, 4), stored=True), y), (Node("FULLY_CONNECTED", (0, 1, -1), (2,)),), (0,), (2,)
    )
    summary = summarize(Model((graph,)))
    assert summary.precision == precision
    assert summary.parameters == 16
    assert not summary.is_float


def test_custom_operators_have_unknown_cost() -> None:
    x = Tensor("x", TensorType((1, 4), DType.FLOAT32))
    weights = Tensor("w", TensorType((3,), DType.FLOAT32), np.ones(3, np.float32))
    node = Node("CUSTOM", (0, 1), (2,), custom_code="Mystery")
    model = Model((Graph((x, weights, x), (node,), (0,), (2,)),))
    (row,) = rows(model.main)
    assert (row.macs, row.ops, row.note) == (None, None, "the cost of Mystery is not known")
    assert row.parameters == 3
    assert summarize(model).unknown == ("Mystery",)


def test_operands_that_do_not_fit_leave_the_cost_unknown() -> None:
    kind = TensorType((4,), DType.FLOAT32)
    graph = Graph((Tensor("x", kind), Tensor("y", kind)), (Node("CONV_2D", (0, 0), (1,)),), (0,), (1,))
    (row,) = rows(graph)
    assert row.macs is None
    assert "rank 1, expected 4" in row.note


def branches() -> Model:
    """A condition chooses between a dear and a cheap graph; the cheap one calls itself."""
    kind = TensorType((1, 4), DType.FLOAT32)
    weights = Tensor("w", TensorType((4, 4), DType.FLOAT32), np.ones((4, 4), np.float32))
    x, y = Tensor("x", kind), Tensor("y", kind)
    dense, plain = Node("FULLY_CONNECTED", (0, 1, -1), (2,)), Node("RELU", (0,), (1,))
    dear = Graph((x, weights, y), (dense,), (0,), (2,))
    attrs = {"then_subgraph_index": 1, "else_subgraph_index": 2}
    again = Node("IF", (2, 0), (1,), attrs)
    cheap = Graph((x, y, Tensor("c", TensorType((), DType.BOOL), np.array(True))), (again, plain), (0,), (1,))
    condition = Tensor("c", TensorType((), DType.BOOL))
    main = Graph((condition, x, y), (Node("IF", (0, 1), (2,), attrs),), (0, 1), (2,))
    return Model((main, dear, cheap))


def test_if_costs_what_its_dearer_graph_costs() -> None:
    model = branches()
    (row,) = rows(model.main, model)
    assert (row.macs, row.note) == (16, "the dearer of its two graphs")
    assert summarize(model).parameters == 16
    assert rows(model.main)[0].note == "without the graphs that it chooses from"


def is_valid(model: Model) -> bool:
    try:
        verify(model)
    except InvalidGraph:
        return False
    return True


def test_analysis_of_damaged_graphs_never_raises() -> None:
    model = small().model()
    graph = model.main
    analysed = 0
    for number in range(300):
        dice = Random(number)
        nodes = list(graph.nodes)
        for _ in range(dice.choice([1, 2])):
            index = dice.randrange(len(nodes))
            inputs = tuple(dice.choice([-1, *range(len(graph.tensors))]) for _ in range(dice.randrange(5)))
            name = dice.choice([nodes[index].op, *sorted(names())])
            nodes[index] = replace(nodes[index], op=name, inputs=inputs)
        damaged = model.with_main(replace(graph, nodes=tuple(nodes)))
        if is_valid(damaged):
            analysed += 1
            assert summarize(damaged).parameters >= 0
    assert analysed > 20

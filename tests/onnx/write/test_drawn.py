"""Drawn networks, stateful and branching models, as ONNX in ONNX Runtime, against LiteRT."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.registry import find
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write
from tests import graphs_made, graphs_stored
from tests.conformance.tolerances import QUANT_1LSB
from tests.models import noise
from tests.onnx.write.running import Exported, single
from tests.regions_made import windows
from tests.webgpu.recurrent_made import Recurrent, hybrid, inputs, stacked


def run_litert(model: Model, feeds: list[list[Array]], kernels: str = "builtin") -> list[list[Array]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.tflite"
        write(model, path)
        runner = find("litert").load(path, model, options={"kernels": kernels})
        answers = [runner.run(feed) for feed in feeds]
        runner.close()
    return answers


@settings(max_examples=40)
@given(graphs_made.floats())
def test_drawn_float_networks(model: Model) -> None:
    feed = noise(model)
    exact, fast = (run_litert(model, [feed], kernels)[0] for kernels in ("builtin", "default"))
    for got, wanted, other in zip(Exported(model).run(feed), exact, fast, strict=True):
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        bound = max(1e-4 * scale, 2 * float(np.abs(wanted - other).max(initial=0)))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=bound)


@settings(max_examples=25)
@given(graphs_stored.integers())
def test_drawn_integer_networks(model: Model) -> None:
    """Fed LiteRT's own tensors, every operator is within one step; from end to end none goes astray."""
    feed = noise(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.tflite"
        write(model, path)
        litert = find("litert").load(path, model, options={"kernels": "reference", "preserve_tensors": True})
        (wanted,) = litert.run(feed)
        for node in model.main.nodes:
            one = single(model, node)
            (got,) = Exported(one).run([litert.tensor(index) for index in one.main.inputs])
            QUANT_1LSB.check(got, litert.tensor(node.outputs[0]))
        litert.close()
    (got,) = Exported(model).run(feed)
    spread = float(wanted.max() - wanted.min())
    assert np.abs(got - wanted).mean() <= 0.05 * spread + 0.05


@pytest.mark.parametrize("kind", ["float", "hybrid"])
def test_recurrent_layers_keep_their_state(kind: str) -> None:
    model = stacked(steps=5, batch=2)
    model = hybrid(model) if kind == "hybrid" else model
    feeds = [[x] for x in inputs(model, 4)]
    exported = Exported(model)
    assert len(exported.states) == 5
    assert exported.count("LSTM") == 2
    # Hybrid kernels round their operands to 8 bits, ours multiply by what the weights stand for.
    bound = 1e-5 if kind == "float" else 0.03
    for feed, wanted in zip(feeds, run_litert(model, feeds), strict=True):
        np.testing.assert_allclose(exported.run(feed)[0], wanted[0], rtol=0, atol=bound)


def test_a_first_call_needs_no_state() -> None:
    model = Recurrent((3, 7), 1).svdf(8, 2, 4).model()
    exported = Exported(model)
    feed = inputs(model, 1)
    alone = exported.session.run(exported.outputs, {exported.inputs[0]: feed[0]})
    np.testing.assert_array_equal(alone[0], exported.run(feed)[0])


def scalar(name: str, dtype: DType = DType.FLOAT32, data: Array | None = None) -> Tensor:
    return Tensor(name, TensorType((), dtype), data)


def body(op: str, by: float) -> Graph:
    """Returns: x [3] → x ``op`` ``by``."""
    x, y = (Tensor(name, TensorType((3,), DType.FLOAT32)) for name in ("x", "y"))
    node = Node(op, (0, 1), (2,), {"fused_activation_function": "NONE"}, f"{op.capitalize()}Options")
    return Graph((x, scalar("by", data=np.array(by, np.float32)), y), (node,), (0,), (2,), op.lower())


@pytest.mark.parametrize("choice", [True, False])
def test_branches(choice: bool) -> None:
    x, y = (Tensor(name, TensorType((3,), DType.FLOAT32)) for name in ("x", "y"))
    attrs = {"then_subgraph_index": 1, "else_subgraph_index": 2}
    node = Node("IF", (0, 1), (2,), attrs, "IfOptions")
    main = Graph((scalar("choice", DType.BOOL), x, y), (node,), (0, 1), (2,), "main")
    model = Model((main, body("MUL", 3.0), body("ADD", -1.0)))
    feed = [np.array(choice), np.array([1, -2, 5], np.float32)]
    np.testing.assert_array_equal(Exported(model).run(feed)[0], run_litert(model, [feed])[0][0])


@pytest.mark.parametrize("choice", [0, 1, 2, 7])
def test_cases(choice: int) -> None:
    x, y = (Tensor(name, TensorType((3,), DType.FLOAT32)) for name in ("x", "y"))
    attrs = {"branch_subgraph_indices": (1, 2, 3)}
    node = Node("STABLEHLO_CASE", (0, 1), (2,), attrs, "StablehloCaseOptions")
    main = Graph((scalar("choice", DType.INT32), x, y), (node,), (0, 1), (2,), "main")
    model = Model((main, body("MUL", 3.0), body("ADD", -1.0), body("SUB", 2.0)))
    feed = [np.array(choice, np.int32), np.array([1, -2, 5], np.float32)]
    wanted = [[3, -6, 15], [0, -3, 4], [-1, -4, 3], [-1, -4, 3]][min(choice, 3)]
    np.testing.assert_array_equal(Exported(model).run(feed)[0], wanted)


@settings(max_examples=10)
@given(st.integers(-3, 9))
def test_loops(limit: int) -> None:
    """Counts up to a limit and doubles a vector each time."""
    count, x = Tensor("count", TensorType((), DType.INT32)), Tensor("x", TensorType((3,), DType.FLOAT32))
    out = (Tensor("count_out", count.type), Tensor("x_out", x.type))
    attrs = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    main = Graph(
        (count, x, *out), (Node("WHILE", (0, 1), (2, 3), attrs, "WhileOptions"),), (0, 1), (2, 3), "main"
    )
    less = Graph(
        (count, x, scalar("limit", DType.INT32, np.array(limit, np.int32)), scalar("go_on", DType.BOOL)),
        (Node("LESS", (0, 2), (3,), {}, "LessOptions"),), (0, 1), (3,), "cond",
    )  # fmt: skip
    plain = {"fused_activation_function": "NONE"}
    step = Graph(
        (count, x, scalar("one", DType.INT32, np.array(1, np.int32)), *out),
        (Node("ADD", (0, 2), (3,), plain, "AddOptions"), Node("ADD", (1, 1), (4,), plain, "AddOptions")),
        (0, 1), (3, 4), "body",
    )  # fmt: skip
    model = Model((main, less, step))
    feed = [np.array(0, np.int32), np.array([1, -2, 0.5], np.float32)]
    for got, wanted in zip(Exported(model).run(feed), run_litert(model, [feed])[0], strict=True):
        np.testing.assert_array_equal(got, wanted)


@settings(max_examples=25)
@given(windows())
def test_drawn_windows(drawn: tuple[Model, list[Array]]) -> None:
    model, feed = drawn
    wanted = find("reference").load(Path("drawn.tflite"), model).run(feed)[0]
    np.testing.assert_allclose(Exported(model).run(feed)[0], wanted, rtol=1e-5, atol=1e-5)

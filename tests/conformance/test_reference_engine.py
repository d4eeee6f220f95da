"""The reference engine: control flow, variables, dynamic sizes, what it shows and what it refuses."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.engines.reference.execute import Step, last_readers
from sanderling.engines.registry import find
from sanderling.errors import InputMismatch, RunError, UnsupportedOperator, UsageError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.registry import find as find_op
from sanderling.tflite import write
from tests.ops.single import options_of

ENGINE, LITERT = find("reference"), find("litert")
PLACE = Path("made-up.tflite")
F32 = DType.FLOAT32


def tensor(name: str, shape: tuple[int, ...], dtype: DType = F32, **more: Any) -> Tensor:
    return Tensor(name, TensorType(shape, dtype), **more)


def constant(name: str, values: Any, dtype: DType = F32) -> Tensor:
    data = np.array(values, dtype.numpy)
    return tensor(name, data.shape, dtype, data=data)


def node(name: str, inputs: tuple[int, ...], outputs: tuple[int, ...], **attrs: object) -> Node:
    op = find_op(name)
    assert op is not None
    return Node(name, inputs, outputs, options_of(op, attrs), op.options)


def chain(length: int, size: int = 4) -> Model:
    """Returns: x + 1 + 1 … ."""
    tensors = [tensor("x", (size,)), constant("one", [1.0])]
    nodes = []
    for i in range(length):
        tensors.append(tensor(f"sum{i}", (size,)))
        nodes.append(node("ADD", (len(tensors) - 2 if i else 0, 1), (len(tensors) - 1,)))
    return Model((Graph(tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,), "main"),))


def counter() -> Model:
    """Returns: a model whose variable starts at 10 (CALL_ONCE) and grows by its input."""
    handle = tensor("handle", (), DType.RESOURCE)
    main = Graph(
        (tensor("x", (2,)), handle, tensor("old", (2,)), tensor("new", (2,))),
        (
            node("CALL_ONCE", (), (), init_subgraph_index=1),
            node("VAR_HANDLE", (), (1,), shared_name="total"),
            node("READ_VARIABLE", (1,), (2,)),
            node("ADD", (2, 0), (3,)),
            node("ASSIGN_VARIABLE", (1, 3), ()),
        ),
        (0,), (3,), "main",
    )  # fmt: skip
    first = Graph(
        (handle, constant("ten", [10.0, 10.0])),
        (node("VAR_HANDLE", (), (0,), shared_name="total"), node("ASSIGN_VARIABLE", (0, 1), ())),
        (), (), "init",
    )  # fmt: skip
    return Model((main, first))


def branching() -> Model:
    """Returns: |sum| > 0 ? x + 1 : x · 2."""

    def branch(name: str) -> Graph:
        tensors = (tensor("x", (2,)), constant("c", [2.0]), tensor("y", (2,)))
        return Graph(tensors, (node(name, (0, 1), (2,)),), (0,), (2,), name)

    main = Graph(
        (tensor("go", (), DType.BOOL), tensor("x", (2,)), tensor("y", (2,))),
        (node("IF", (0, 1), (2,), then_subgraph_index=1, else_subgraph_index=2),),
        (0, 1), (2,), "main",
    )  # fmt: skip
    return Model((main, branch("ADD"), branch("MUL")))


def looping() -> Model:
    """Returns: (i, x) → x doubled while i < 5, i growing by 1."""
    i, x = tensor("i", (), DType.INT32), tensor("x", (2,))
    main = Graph(
        (i, x, tensor("i2", (), DType.INT32), tensor("x2", (2,))),
        (node("WHILE", (0, 1), (2, 3), cond_subgraph_index=1, body_subgraph_index=2),),
        (0, 1), (2, 3), "main",
    )  # fmt: skip
    condition = Graph(
        (i, x, constant("five", 5, DType.INT32), tensor("less", (), DType.BOOL)),
        (node("LESS", (0, 2), (3,)),), (0, 1), (3,), "condition",
    )  # fmt: skip
    body = Graph(
        (i, x, constant("one", 1, DType.INT32), tensor("next", (), DType.INT32), tensor("twice", (2,))),
        (node("ADD", (0, 2), (3,)), node("ADD", (1, 1), (4,))), (0, 1), (3, 4), "body",
    )  # fmt: skip
    return Model((main, condition, body))


def run_both(model: Model, feeds: list[list[Array]], folder: Path) -> None:
    """Runs a sequence of calls on both engines and compares every answer."""
    path = folder / "model.tflite"
    write(model, path)
    ours, theirs = ENGINE.load(path, model), LITERT.load(path, model)
    for feed in feeds:
        for mine, wanted in zip(ours.run(feed), theirs.run(feed), strict=True):
            np.testing.assert_array_equal(mine, wanted)
            assert mine.dtype == wanted.dtype


def test_variables_are_initialised_once_kept_and_reset(tmp_path: Path) -> None:
    step = np.array([1.0, 2.0], np.float32)
    run_both(counter(), [[step]] * 3, tmp_path)
    runner = ENGINE.load(PLACE, counter())
    np.testing.assert_array_equal([runner.run([step])[0] for _ in range(2)], [[11, 12], [12, 14]])
    runner.reset()
    np.testing.assert_array_equal(runner.run([step])[0], [11, 12])


def test_a_variable_without_a_value_is_an_error() -> None:
    graph = counter().main
    model = Model((Graph(graph.tensors, graph.nodes[1:], graph.inputs, graph.outputs, "main"),))
    with pytest.raises(RunError, match=r"made-up.tflite: the variable 'total' is read before it has a value"):
        ENGINE.load(PLACE, model).run([np.zeros(2, np.float32)])


def test_branches(tmp_path: Path) -> None:
    x = np.array([3.0, 4.0], np.float32)
    run_both(branching(), [[np.array(go), x] for go in (True, False, True)], tmp_path)


def test_loops(tmp_path: Path) -> None:
    x = np.array([3.0, 4.0], np.float32)
    run_both(looping(), [[np.array(start, np.int32), x] for start in (0, 4, 9)], tmp_path)


def test_graphs_that_call_each_other_for_ever_are_stopped() -> None:
    def calls(graph: int) -> Graph:
        call = node("IF", (0, 1), (2,), then_subgraph_index=graph, else_subgraph_index=graph)
        tensors = (tensor("go", (), DType.BOOL), tensor("x", (2,)), tensor("y", (2,)))
        return Graph(tensors, (call,), (0, 1), (2,), "")

    def passes() -> Graph:
        again = node("IF", (1, 0), (2,), then_subgraph_index=2, else_subgraph_index=2)
        tensors = (tensor("x", (2,)), constant("go", True, DType.BOOL), tensor("y", (2,)))
        return Graph(tensors, (again,), (0,), (2,), "")

    with pytest.raises(RunError, match=r"call each other more than \d+ deep"):
        ENGINE.load(PLACE, Model((calls(1), passes(), passes()))).run(
            [np.array(True), np.zeros(2, np.float32)]
        )


def test_any_batch_runs_where_the_signature_allows_it() -> None:
    rng = np.random.default_rng(0)
    weights = constant("w", rng.standard_normal((3, 4)))
    graph = Graph(
        (tensor("x", (1, 4), shape_signature=(-1, 4)), weights, tensor("y", (1, 3), shape_signature=(-1, 3))),
        (node("FULLY_CONNECTED", (0, 1, -1), (2,)),),
        (0,), (2,), "main",
    )  # fmt: skip
    runner = ENGINE.load(PLACE, Model((graph,)))
    x = rng.standard_normal((5, 4)).astype(np.float32)
    (y,) = runner.run([x])
    assert weights.data is not None
    np.testing.assert_allclose(y, x @ weights.data.T, rtol=1e-6)
    assert runner.inputs[0].type.shape == (5, 4)
    assert runner.outputs[0].type.shape == (5, 3)


def test_every_operator_can_be_seen_and_replaced() -> None:
    runner, seen = ENGINE.load(PLACE, chain(3)), []

    def observe(step: Step) -> list[Array] | None:
        seen.append((step.graph, step.position, step.node.op, float(step.outputs[0][0])))
        return [step.outputs[0] * 10] if step.position == 1 else None

    (y,) = runner.run([np.zeros(4, np.float32)], observe=observe)
    assert seen == [(0, 0, "ADD", 1.0), (0, 1, "ADD", 2.0), (0, 2, "ADD", 21.0)]
    np.testing.assert_array_equal(y, np.full(4, 21.0))
    np.testing.assert_array_equal(runner.run([np.zeros(4, np.float32)])[0], np.full(4, 3.0))


def test_a_replacement_of_another_type_is_refused() -> None:
    with pytest.raises(RunError, match=r"operator 0 \(ADD\) has other types"):
        ENGINE.load(PLACE, chain(2)).run(
            [np.zeros(4, np.float32)], observe=lambda step: [step.outputs[0][:2]]
        )


def test_operators_inside_a_branch_are_seen() -> None:
    seen: list[tuple[int, str]] = []
    runner = ENGINE.load(PLACE, branching())
    runner.run([np.array(False), np.ones(2, np.float32)], observe=lambda s: seen.append((s.graph, s.node.op)))
    assert seen == [(2, "MUL"), (0, "IF")]


def test_memory_does_not_grow_with_the_length_of_the_model() -> None:
    x = np.zeros(250_000, np.float32)  # 1 MB

    def peak(length: int) -> int:
        runner = ENGINE.load(PLACE, chain(length, x.size))
        tracemalloc.start()
        runner.run([x])
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    assert peak(40) < peak(4) + 500_000


def test_last_readers_keeps_outputs_and_ends_unread_results_at_once() -> None:
    graph = chain(3).main
    assert last_readers(graph) == {0: 0, 1: 2, 2: 1, 3: 2}


def test_what_is_given_out_is_the_callers() -> None:
    graph = Graph((tensor("x", (2,)), constant("c", [1.0, 2.0]), tensor("y", (2,))),
                  (node("ADD", (0, 1), (2,)),), (0,), (0, 1, 2), "main")  # fmt: skip
    runner, x = ENGINE.load(PLACE, Model((graph,))), np.zeros(2, np.float32)
    for array in runner.run([x]):
        array += 100
    np.testing.assert_array_equal(x, [0, 0])
    np.testing.assert_array_equal(runner.run([x])[1], [1, 2])


@pytest.mark.parametrize(
    "feed, sentence",
    [
        ([], "got 0 inputs, expected 1"),
        ([np.zeros(4, np.float64)], "input 'x' has dtype float64, expected float32"),
        ([np.zeros(5, np.float32)], r"input 'x' has shape \[5\], expected \[4\]"),
    ],
)
def test_wrong_inputs(feed: list[Array], sentence: str) -> None:
    with pytest.raises(InputMismatch, match=sentence):
        ENGINE.load(PLACE, chain(1)).run(feed)


def test_an_operator_that_cannot_be_computed_is_named() -> None:
    graph = Graph((tensor("x", (4,)), constant("i", [9], DType.INT32), tensor("y", (1,))),
                  (node("GATHER", (0, 1), (2,)),), (0,), (2,), "main")  # fmt: skip
    with pytest.raises(
        RunError, match=r"^made-up.tflite: operator 0 \(GATHER\) cannot be computed: an index lies"
    ):
        ENGINE.load(PLACE, Model((graph,))).run([np.zeros(4, np.float32)])


def test_operators_without_an_implementation_are_refused_with_the_reason() -> None:
    custom = Node("CUSTOM", (0,), (1,), custom_code="Mystery")
    model = Model((Graph((tensor("x", (2,)), tensor("y", (2,))), (custom,), (0,), (1,), "main"),))
    (verdict,) = ENGINE.supports(model)
    assert not verdict
    assert "Mystery" in verdict.reason
    with pytest.raises(UnsupportedOperator, match="operator 0: the custom operator Mystery"):
        ENGINE.load(PLACE, model)


def test_tensors_that_numpy_cannot_hold_are_refused() -> None:
    kinds = (tensor("x", (2,), DType.BFLOAT16), tensor("y", (2,), DType.BFLOAT16))
    (verdict,) = ENGINE.supports(Model((Graph(kinds, (node("NEG", (0,), (1,)),), (0,), (1,), "main"),)))
    assert "bfloat16 has no NumPy counterpart" in verdict.reason


@pytest.mark.parametrize("options", [{"kernels": "builtin"}, {"precision": "float16"}])
def test_options_that_it_does_not_have(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ENGINE.load(PLACE, chain(1), options=options)


def test_a_closed_model_says_so() -> None:
    runner = ENGINE.load(PLACE, chain(1))
    runner.close()
    with pytest.raises(RunError, match="closed"):
        runner.run([np.zeros(4, np.float32)])

"""Loops as converters write them for recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType

STEPS, FEATURES, CELLS = 5, 3, 4
PLAIN = {"fused_activation_function": "NONE"}
DENSE = {**PLAIN, "weights_format": "DEFAULT", "keep_num_dims": False, "asymmetric_quantize_inputs": False}
WHOLE = TensorType((), DType.INT32)
Call = tuple[str, str, str, str, dict[str, object]]


def value(name: str, *shape: int) -> Tensor:
    return Tensor(name, TensorType(shape, DType.FLOAT32))


def constant(name: str, data: Array) -> Tensor:
    return Tensor(name, TensorType(data.shape, DType(str(data.dtype))), data)


def graph(name: str, tensors: Sequence[Tensor], calls: Sequence[Call], inputs: str, outputs: str) -> Graph:
    """Returns: a graph whose calls name their operands: (operator, operands, result, options, attributes)."""
    place = {tensor.name: index for index, tensor in enumerate(tensors)} | {"-": -1}

    def of(names: str) -> tuple[int, ...]:
        return tuple(place[one] for one in names.split())

    nodes = [Node(op, of(read), of(made), attrs, options) for op, read, made, options, attrs in calls]
    return Graph(tuple(tensors), tuple(nodes), of(inputs), of(outputs), name)


def recurrent(*, limit: int | None = STEPS, open_sizes: bool = False) -> Model:
    """A plain recurrent layer over [steps, 1, features]: all outputs, and the last one.

    Args:
        limit: the number of steps that are run; None for one that the caller says.
        open_sizes: callers may change the sizes of the input.
    """
    rng = np.random.default_rng(4)
    shapes = ("time", WHOLE), ("all", (STEPS, 1, CELLS)), ("state", (1, CELLS)), ("x", (STEPS, 1, FEATURES))
    carried = [Tensor(n, s) if isinstance(s, TensorType) else value(n, *s) for n, s in shapes]
    bound = Tensor("limit", WHOLE)
    if limit is not None:
        bound = constant("limit", np.array(limit, np.int32))
    carried.append(Tensor("until", WHOLE))
    condition = graph(
        "condition", [*carried, Tensor("go", TensorType((), DType.BOOL))],
        [("LESS", "time until", "go", "LessOptions", {})], "time all state x until", "go",
    )  # fmt: skip
    small = [
        constant("one", np.array(1, np.int32)), constant("single", np.array([1], np.int32)),
        constant("rest", np.array([-1, -1], np.int32)), constant("zeros", np.array([0, 0], np.int32)),
        constant("start", np.array([0, 0, 0], np.int32)), constant("end", np.array([-1, -1, -1], np.int32)),
        constant("row_shape", np.array([1, 1, CELLS], np.int32)),
        constant("w", rng.standard_normal((CELLS, FEATURES)).astype(np.float32)),
        constant("u", rng.standard_normal((CELLS, CELLS)).astype(np.float32)),
        constant("b", rng.standard_normal(CELLS).astype(np.float32)),
    ]  # fmt: skip
    made = [
        *(Tensor(n, WHOLE) for n in ("next",)),
        *(Tensor(n, TensorType((1,), DType.INT32)) for n in ("time1", "next1")),
        *(Tensor(n, TensorType((3,), DType.INT32)) for n in ("size", "begin")),
        value("now", 1, FEATURES), *(value(n, 1, CELLS) for n in ("a", "c", "s", "h")),
        # What depends on the step has no size of its own in the file.
        *(replace(value(n, 1, 1, 1), shape_signature=(-1, -1, -1)) for n in ("before", "after")),
        value("row", 1, 1, CELLS),
        value("all_next", STEPS, 1, CELLS),
    ]  # fmt: skip
    join = {"axis": 0, **PLAIN}
    body = graph(
        "body", [*carried, *small, *made],
        [
            ("ADD", "time one", "next", "AddOptions", PLAIN),
            ("GATHER", "x time", "now", "GatherOptions", {"axis": 0, "batch_dims": 0}),
            ("FULLY_CONNECTED", "now w b", "a", "FullyConnectedOptions", DENSE),
            ("FULLY_CONNECTED", "state u -", "c", "FullyConnectedOptions", DENSE),
            ("ADD", "a c", "s", "AddOptions", PLAIN),
            ("TANH", "s", "h", "", {}),
            ("RESHAPE", "time single", "time1", "ReshapeOptions", {"new_shape": (1,)}),
            ("RESHAPE", "next single", "next1", "ReshapeOptions", {"new_shape": (1,)}),
            ("CONCATENATION", "time1 rest", "size", "ConcatenationOptions", join),
            ("CONCATENATION", "next1 zeros", "begin", "ConcatenationOptions", join),
            ("SLICE", "all start size", "before", "SliceOptions", {}),
            ("SLICE", "all begin end", "after", "SliceOptions", {}),
            ("RESHAPE", "h row_shape", "row", "ReshapeOptions", {"new_shape": (1, 1, CELLS)}),
            ("CONCATENATION", "before row after", "all_next", "ConcatenationOptions", join),
        ],
        "time all state x until", "next all_next h x until",
    )  # fmt: skip
    x = value("input", STEPS, 1, FEATURES)
    if open_sizes:
        x = Tensor("input", x.type, shape_signature=(-1, 1, FEATURES))
    first = [
        constant("zero", np.array(0, np.int32)), constant("none", np.zeros((STEPS, 1, CELLS), np.float32)),
        constant("rest", np.zeros((1, CELLS), np.float32)),
    ]  # fmt: skip
    results = [Tensor(f"{tensor.name}_out", tensor.type) for tensor in carried]
    attrs: dict[str, object] = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    main = graph(
        "main", [x, bound, *first, *results],
        [("WHILE", "zero none rest input limit", "time_out all_out state_out x_out until_out",
          "WhileOptions", attrs)],
        "input" if limit is not None else "input limit", "all_out state_out",
    )  # fmt: skip
    return Model((main, condition, body))


def nested() -> Model:
    """3 times: add x to itself twice."""
    x, i = value("x", 2), Tensor("i", WHOLE)

    def counted(name: str, limit: int) -> Graph:
        bound = constant("limit", np.array(limit, np.int32))
        go = Tensor("go", TensorType((), DType.BOOL))
        return graph(name, [i, x, bound, go], [("LESS", "i limit", "go", "LessOptions", {})], "i x", "go")

    one, more = constant("one", np.array(1, np.int32)), Tensor("more", WHOLE)
    count: Call = ("ADD", "i one", "more", "AddOptions", PLAIN)
    inner = graph(
        "inner", [i, x, one, more, value("twice", 2)],
        [count, ("ADD", "x x", "twice", "AddOptions", PLAIN)], "i x", "more twice",
    )  # fmt: skip
    zero = constant("zero", np.array(0, np.int32))
    ends = [Tensor("end", WHOLE), value("result", 2)]
    twice: dict[str, object] = {"cond_subgraph_index": 3, "body_subgraph_index": 4}
    outer = graph(
        "outer", [i, x, one, zero, more, *ends],
        [count, ("WHILE", "zero x", "end result", "WhileOptions", twice)], "i x", "more result",
    )  # fmt: skip
    thrice: dict[str, object] = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    call: Call = ("WHILE", "zero x", "end result", "WhileOptions", thrice)
    main = graph("main", [x, zero, *ends], [call], "x", "result")
    return Model((main, counted("thrice", 3), outer, counted("twice", 2), inner))

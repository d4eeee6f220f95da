"""Operators that run other graphs of the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.read.proto import OnnxGraph, Port
from sanderling.onnx.write.builder import Builder, Value, plain_order
from sanderling.onnx.write.call import Call, Regions
from sanderling.onnx.write.element_types import code
from sanderling.onnx.write.registry import tflite_op


def regions(call: Call) -> Regions:
    """Returns: how the model's other graphs are written."""
    assert call.regions is not None
    return call.regions


@tflite_op("CALL", "STABLEHLO_COMPOSITE")
def inlined(call: Call) -> list[Value]:
    word = "subgraph" if call.node.op == "CALL" else "decomposition_subgraph_index"
    values = [value for value in call.inputs if value is not None]
    return regions(call).inline(int(call.attr(word, 0)), values)


@tflite_op("IF")
def if_(call: Call) -> list[Value]:
    branches = [int(call.attr(f"{word}_subgraph_index", 0)) for word in ("then", "else")]
    condition = call.op("Reshape", call.builder.stored(call.value(0)), call.ints())
    return _chosen(call, condition, branches, call.inputs[1:])


@tflite_op("STABLEHLO_CASE")
def case(call: Call) -> list[Value]:
    """An If within the else of another; an index outside of the range takes the last graph."""
    branches = [int(number) for number in call.attr("branch_subgraph_indices", ())]
    if not branches:
        raise UnsupportedOperator("it names no graphs")
    choice = call.op("Reshape", call.builder.stored(call.value(0)), call.ints())
    return _among(call, call.builder, choice, branches, 0)


def _among(call: Call, builder: Builder, choice: str, branches: Sequence[int], number: int) -> list[Value]:
    values = [value for value in call.inputs[1:] if value is not None]
    if number == len(branches) - 1:
        if builder is call.builder:
            return regions(call).inline(branches[number], values)
        return regions(call).nested(builder, branches[number], values)
    index = builder.constant(np.array(number, call.value(0).type.dtype.numpy), "number")
    hit = builder.emit("Equal", (choice, index), name=f"{call.name}/Equal")[0]
    first, rest = builder.within(), builder.within()
    then = _graph(first, "then", regions(call).nested(first, branches[number], values))
    otherwise = _graph(rest, "else", _among(call, rest, choice, branches, number + 1))
    return _if(call, builder, hit, then, otherwise)


def _chosen(
    call: Call, condition: str, branches: Sequence[int], operands: Sequence[Value | None]
) -> list[Value]:
    values = [value for value in operands if value is not None]
    graphs = []
    for word, number in zip(("then", "else"), branches, strict=True):
        builder = call.builder.within()
        graphs.append(_graph(builder, word, regions(call).nested(builder, number, values)))
    return _if(call, call.builder, condition, *graphs)


def _if(call: Call, builder: Builder, condition: str, then: OnnxGraph, otherwise: OnnxGraph) -> list[Value]:
    names = builder.emit(
        "If",
        (condition,),
        name=f"{call.name}/If",
        count=len(call.outputs),
        then_branch=then,
        else_branch=otherwise,
    )
    return [
        Value(name, kind, plain_order(len(kind.shape)))
        for name, kind in zip(names, call.outputs, strict=True)
    ]


def _graph(builder: Builder, name: str, results: Sequence[Value]) -> OnnxGraph:
    """Returns: what was written, with these results as TFLite has them."""
    ports = []
    for value in results:
        # Its own name: a graph's output may be neither what lies outside of it nor given twice.
        inner = builder.emit("Identity", (builder.stored(value),), name=f"{value.name}/result")[0]
        ports.append(Port(inner, value.type.shape, code(value.type.dtype)))
    return OnnxGraph(tuple(builder.nodes), {}, (), tuple(ports))


@tflite_op("WHILE")
def while_(call: Call) -> list[Value]:
    """A Loop without a limit: the condition is asked before it, and at the end of every round."""
    values = [value for value in call.inputs if value is not None]
    condition, body = (int(call.attr(f"{word}_subgraph_index", 0)) for word in ("cond", "body"))
    for before, behind in zip(values, call.outputs, strict=True):
        if before.type.shape != behind.shape and -1 not in behind.shape:
            raise UnsupportedOperator("what it carries changes its shape")
    begins = regions(call).inline(condition, values)[0]
    first = call.op("Reshape", call.builder.stored(begins), call.ints())
    round_ = _round(call, condition, body, values)
    inputs = ("", first, *(call.builder.stored(value) for value in values))
    names = call.many("Loop", inputs, len(values), body=round_)
    return [
        Value(name, kind, plain_order(len(kind.shape)))
        for name, kind in zip(names, call.outputs, strict=True)
    ]


def _round(call: Call, condition: int, body: int, values: Sequence[Value]) -> OnnxGraph:
    builder = call.builder.within()
    fresh = builder.names.fresh
    count, go_on = Port(fresh("round"), (), code(DType.INT64)), Port(fresh("going_on"), (), code(DType.BOOL))
    carried = [
        Value(fresh(f"{value.name}/carried"), kind, plain_order(len(kind.shape)))
        for value, kind in zip(values, call.outputs, strict=True)
    ]
    ports = [Port(each.name, each.type.shape, code(each.type.dtype)) for each in carried]
    after = regions(call).nested(builder, body, carried)
    # What goes on is stored as TFLite has it.
    plain = [Value(builder.stored(value), value.type, plain_order(len(value.type.shape))) for value in after]
    again = regions(call).nested(builder, condition, plain)[0]
    asked = builder.emit("Reshape", (builder.stored(again), builder.integers()), name="condition")[0]
    truth = Value(asked, again.type, ())
    return _with_inputs(_graph_of(builder, truth, plain), (count, go_on, *ports))


def _graph_of(builder: Builder, condition: Value, values: Sequence[Value]) -> OnnxGraph:
    names = [condition.name, *(value.name for value in values)]
    results = [builder.emit("Identity", (name,), name=f"{name}/result")[0] for name in names]
    ports = [Port(results[0], (), code(DType.BOOL))]
    ports += [
        Port(name, v.type.shape, code(v.type.dtype)) for name, v in zip(results[1:], values, strict=True)
    ]
    return OnnxGraph(tuple(builder.nodes), {}, (), tuple(ports))


def _with_inputs(graph: OnnxGraph, inputs: tuple[Port, ...]) -> OnnxGraph:
    return OnnxGraph(graph.nodes, graph.constants, inputs, graph.outputs)

"""Tensors of more dimensions than a kernel takes: windows of attention, a pixel shuffle, 3D upsampling.

Between a graph's inputs and outputs, nobody can tell [a, b, c, d, e, f] from [a * b * c * d * e, f]. What
works on elements or rows does not care either; TRANSPOSE and TILE do, but not about neighbours that stay
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from sanderling.engines.webgpu.compiler.lower import MAX_RANK
from sanderling.errors import InvalidGraph
from sanderling.graph.constant import decode
from sanderling.graph.edit import GraphBuilder
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.registry import find_for

Shape = tuple[int, ...]
_RESHAPES = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
# They work on every element by itself, or on rows: of the first operand, with whatever the others are.
_ROWS = frozenset({
    "ABS", "CAST", "CEIL", "COS", "DEQUANTIZE", "ELU", "EXP", "FLOOR", "FULLY_CONNECTED", "GELU",
    "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "LOG_SOFTMAX", "NEG", "QUANTIZE", "RELU", "RELU6", "ROUND",
    "RSQRT", "SIGN", "SIN", "SOFTMAX", "SQRT", "SQUARE", "TANH",
})  # fmt: skip
_PAIRS = frozenset({"ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB"})


def flatten(graph: Graph) -> Graph:
    """Replaces tensors of more than ``MAX_RANK`` dimensions by such of two, where all that touch them can.

    Args:
        graph: shapes are known, constants folded. Tensors keep their indices.
    """
    high = {i for i, tensor in enumerate(graph.tensors) if _is_high(tensor)}
    high -= {*graph.inputs, *graph.outputs}
    touching = [node for node in graph.nodes if any(_is_high(graph.tensors[i]) for i in _all(node))]
    while high:  # a node that cannot follow keeps its tensors, and so do those that share them
        kept = {i for node in touching if not _follows(graph, node, high) for i in _all(node)}
        if not high & kept:
            break
        high -= kept
    if not high:
        return graph
    builder = GraphBuilder.of(graph)
    for index in high:
        _resize(builder, index, _flat(graph.tensors[index].shape))
    flat: dict[int, int] = {}  # what a node wrote in another shape → the same in two dimensions
    for node in graph.nodes:
        if high & set(_all(node)):
            _take(builder, graph, node, flat)
        else:
            builder.nodes.append(node)
    return replace(graph, tensors=tuple(builder.tensors), nodes=tuple(builder.nodes))


def _is_high(tensor: Tensor) -> bool:
    known = -1 not in tensor.shape_signature and 0 not in tensor.shape
    return len(tensor.shape) > MAX_RANK and known and not (tensor.is_constant or tensor.is_variable)


def _all(node: Node) -> tuple[int, ...]:
    return tuple(i for i in (*node.inputs, *node.outputs) if i >= 0)


def _flat(shape: Shape) -> Shape:
    return (prod(shape[:-1]), shape[-1])


def _follows(graph: Graph, node: Node, high: set[int]) -> bool:
    """Says whether a node can do with flat tensors in the place of all its high ones."""
    tensors = [graph.tensors[i] for i in _all(node)]
    if any(_is_high(tensor) and i not in high for i, tensor in zip(_all(node), tensors, strict=True)):
        return False
    op = find_for(node)
    if op is None or len(node.outputs) != 1 or not node.inputs or node.inputs[0] < 0:
        return False
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if x.is_constant or not (_is_per_tensor(x) and _is_per_tensor(y)):
        return False
    try:
        kinds = op.infer(node, graph.operands(node), [y])
    except InvalidGraph:
        return False
    if [(kind.shape, kind.dtype) for kind in kinds] != [(y.shape, y.dtype)]:
        return False
    if node.op in ("TRANSPOSE", "TILE"):
        return _merged(graph, node) is not None
    if node.op in _PAIRS:
        return all(_is_beside(graph.tensors[i], y) for i in node.inputs)
    rows = node.op in _ROWS and _flat(x.shape)[0] == _flat(y.shape)[0]
    return node.op in _RESHAPES or rows


def _is_per_tensor(tensor: Tensor) -> bool:
    return tensor.quant is None or (tensor.quant.axis is None and tensor.quant.block is None)


def _is_beside(tensor: Tensor, result: Tensor) -> bool:
    """Says whether an operand broadcasts to a flat result as it does to the high one."""
    if tensor.shape == result.shape:
        return not tensor.is_constant
    whole = tensor.data is None or np.size(tensor.data) == prod(tensor.shape)
    low = len(tensor.shape) <= MAX_RANK and whole and _is_per_tensor(tensor)
    return low and prod(tensor.shape[:-1]) == 1 and tensor.shape[-1:] in ((), (1,), result.shape[-1:])


def _merged(graph: Graph, node: Node) -> tuple[Shape, list[int]] | None:
    """Joins neighbours that stay neighbours, and leaves out sizes of 1.

    Returns: the shape of the first operand, and what the second says of it; None if that is still too high.
    """
    x, told = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[1]]
    if not told.is_constant:
        return None
    values = [int(value) for value in decode(told).reshape(-1)]
    shape, what = _permuted(x.shape, values) if node.op == "TRANSPOSE" else _tiled(x.shape, values)
    return (shape, what) if len(shape) <= MAX_RANK else None


def _permuted(shape: Shape, order: Sequence[int]) -> tuple[Shape, list[int]]:
    runs: list[list[int]] = []  # axes that stay together, in their new order
    for axis in (axis % len(shape) for axis in order if shape[axis] > 1):
        between = shape[runs[-1][-1] + 1 : axis] if runs and axis > runs[-1][-1] else (0,)
        if set(between) <= {1}:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    before = sorted(range(len(runs)), key=lambda run: runs[run][0])
    sizes = tuple(prod(shape[axis] for axis in runs[run]) for run in before)
    return sizes or (1,), [before.index(run) for run in range(len(runs))] or [0]


def _tiled(shape: Shape, times: Sequence[int]) -> tuple[Shape, list[int]]:
    sizes: list[int] = []
    counts: list[int] = []
    for size, count in zip(shape, times, strict=True):
        if counts and counts[-1] == count == 1:
            sizes[-1] *= size
        else:
            sizes.append(size)
            counts.append(count)
    return tuple(sizes), counts


def _take(builder: GraphBuilder, graph: Graph, node: Node, flat: dict[int, int]) -> None:
    """Adds what becomes of a node. It writes the tensor that it wrote, by which it is known."""
    inputs, result = [flat.get(i, i) for i in node.inputs], node.outputs[0]
    merged = _merged(graph, node) if node.op in ("TRANSPOSE", "TILE") else None
    if node.op in _RESHAPES:
        _reshape(builder, inputs[0], builder.tensors[result].shape, result)
    elif merged is None:
        operands = tuple(_operand(builder, i, node) for i in inputs)
        builder.nodes.append(replace(node, inputs=operands))
    else:
        shape, told = merged
        cut = _like(builder, inputs[0], shape)
        flat[result] = _like(builder, result, builder.tensors[result].shape)
        _reshape(builder, inputs[0], shape, cut)
        _resize(builder, result, _moved(node, shape, told))
        builder.nodes.append(replace(node, inputs=(cut, _sizes(builder, told))))
        _reshape(builder, result, builder.tensors[flat[result]].shape, flat[result])


def _moved(node: Node, shape: Shape, told: Sequence[int]) -> Shape:
    if node.op == "TRANSPOSE":
        return tuple(shape[axis] for axis in told)
    return tuple(size * count for size, count in zip(shape, told, strict=True))


def _resize(builder: GraphBuilder, index: int, shape: Shape) -> None:
    tensor = builder.tensors[index]
    builder.tensors[index] = replace(tensor, type=replace(tensor.type, shape=shape))


def _operand(builder: GraphBuilder, index: int, node: Node) -> int:
    """Returns: an operand of a node whose result is flat: one element or row of several dimensions is one of
    at most two."""
    if index < 0 or node.op not in _PAIRS or len(builder.tensors[index].shape) <= 2:
        return index
    tensor = builder.tensors[index]
    shape = tensor.shape[-1:]
    flat = _like(builder, index, shape)
    if tensor.data is None:
        _reshape(builder, index, shape, flat)
    else:
        builder.tensors[flat] = replace(builder.tensors[flat], data=np.reshape(tensor.data, shape))
    return flat


def _reshape(builder: GraphBuilder, x: int, shape: Shape, to: int) -> None:
    builder.nodes.append(Node("RESHAPE", (x, _sizes(builder, shape)), (to,), {}, "ReshapeOptions"))


def _sizes(builder: GraphBuilder, values: Sequence[int]) -> int:
    name = f"sizes{len(builder.tensors)}"
    return builder.tensor(Tensor(name, TensorType((len(values),), DType.INT32), np.array(values, np.int32)))


def _like(builder: GraphBuilder, index: int, shape: Shape) -> int:
    tensor = builder.tensors[index]
    name = f"{tensor.name}:{len(builder.tensors)}"
    return builder.tensor(Tensor(name, replace(tensor.type, shape=shape)))

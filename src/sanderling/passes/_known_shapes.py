"""Shapes that follow from a graph's inputs, whatever the file says about the values in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType
from sanderling.ops.op import Op
from sanderling.ops.registry import find_for

Shape = tuple[int, ...]
MAX_VALUES = 64  # of shape arithmetic, in elements
# They copy elements, and which ones is told by operands that their rule does not quantize.
_MOVERS = frozenset({
    "CONCATENATION", "EXPAND_DIMS", "GATHER", "PACK", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE",
})  # fmt: skip
# They compute with sizes: the number of rows before a dense layer is a product of all sizes but the last.
# None makes more than 64 × 64 elements of operands of 64.
_ARITHMETIC = frozenset({
    "ADD", "CAST", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "MUL", "REDUCE_PROD", "SUB", "SUM",
})  # fmt: skip


# The graph that was asked for last and its shapes: most passes find nothing and hand on the same graph.
_latest: list[tuple[Graph, dict[int, Shape]]] = []


def forget() -> None:
    """Lets go of the graph that was asked for last."""
    _latest.clear()


def known_shapes(graph: Graph) -> dict[int, Shape]:
    """Infers shapes from the inputs on.

    A file declares a shape for every value, but where an input can be resized these are only examples.

    Returns: tensor index → shape, −1 for sizes that may change between calls. A value whose rank is not
    certain is not there.
    """
    for other, shapes in tuple(_latest):
        if other is graph:
            return dict(shapes)
    known = _Known(graph)
    for node in graph.nodes:
        op = find_for(node)
        if op is not None and all(index < 0 or index in known.shapes for index in node.inputs):
            _infer(known, op, node)
            _move(known, op, node)
    _latest[:] = [(graph, dict(known.shapes))]
    return known.shapes


@dataclass(slots=True)
class _Known:
    """What is known of a graph's values.

    Attributes:
        shapes: see ``known_shapes``.
        sizes: small integer tensors that hold sizes taken from shapes, −1 where a size may change.
    """

    graph: Graph
    shapes: dict[int, Shape] = field(init=False)
    sizes: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensors = self.graph.tensors
        self.shapes = {i: t.shape for i, t in enumerate(tensors) if t.is_constant}
        self.shapes |= {i: tensors[i].shape_signature or tensors[i].shape for i in self.graph.inputs}

    def operand(self, index: int) -> Tensor | None:
        tensor = self.graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.is_constant:
            return tensor
        return replace(tensor, type=replace(tensor.type, shape=self.shapes[index]))


def _infer(known: _Known, op: Op, node: Node) -> None:
    operands = [known.operand(index) for index in node.inputs]
    for position, index in enumerate(node.inputs):
        sizes, tensor = known.sizes.get(index), operands[position]
        # To RESHAPE −1 means what it means here: the size that the others leave.
        if sizes is not None and tensor is not None and (node.op == "RESHAPE" or -1 not in sizes):
            operands[position] = replace(tensor, data=sizes, type=replace(tensor.type, shape=sizes.shape))
    try:
        types = op.infer(node, operands, known.graph.results(node))
    except InvalidGraph:
        return  # the engine says what is wrong with it; nothing is rewritten that depends on it
    if len(types) == len(node.outputs):
        known.shapes |= {i: kind.shape for i, kind in zip(node.outputs, types, strict=True)}


def _move(known: _Known, op: Op, node: Node) -> None:
    """Follows sizes through operators that move them as they are, or compute with them."""
    if len(node.outputs) != 1 or not node.inputs or node.inputs[0] < 0:
        return
    index = node.outputs[0]
    target = known.graph.tensors[index]
    if target.dtype not in (DType.INT32, DType.INT64) or target.is_variable:
        return
    if node.op == "SHAPE":
        known.sizes[index] = np.array(known.shapes[node.inputs[0]], target.dtype.numpy)
        return
    arithmetic = node.op in _ARITHMETIC
    if not (arithmetic or node.op in _MOVERS) or op.reference is None:
        return
    if not any(i in known.sizes for i in node.inputs):
        return
    arrays = [_sizes(known, op, position, source) for position, source in enumerate(node.inputs)]
    if any(array is None for array in arrays):
        return
    kinds = [known.graph.tensors[i].type for i in node.inputs]
    try:
        result = op.reference(node, arrays, kinds, [target.type])[0]
    except InvalidGraph:
        return
    if arithmetic and any(i in known.sizes and -1 in known.sizes[i] for i in node.inputs):
        result = np.full_like(result, -1)
    if result.size <= MAX_VALUES:
        known.sizes[index] = result


def _sizes(known: _Known, op: Op, position: int, index: int) -> Array | None:
    """Returns: the values of an operand, where which elements move is a real constant."""
    sizes = known.sizes.get(index)
    if sizes is not None:
        return None if position in op.quant.passthrough and -1 in sizes else sizes
    tensor = known.graph.tensors[index] if index >= 0 else None
    if tensor is None or not tensor.is_constant or tensor.type.size > MAX_VALUES:
        return None
    try:
        return decode(tensor)
    except InvalidGraph:
        return None

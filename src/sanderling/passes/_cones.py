"""Parts of a graph that compute one value, element by element, from one other value and constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.registry import find
from sanderling.passes._editor import Editor
from sanderling.passes._known_shapes import Shape

ELEMENTWISE = frozenset({
    "ABS", "ADD", "CEIL", "COS", "DIV", "ELU", "EQUAL", "EXP", "FLOOR", "GELU", "GREATER", "GREATER_EQUAL",
    "HARD_SWISH", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR",
    "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "NEG", "NOT_EQUAL", "POW", "PRELU", "RELU", "RELU6",
    "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT", "SELECT", "SELECT_V2", "SIGN", "SIN", "SQRT", "SQUARE",
    "SQUARED_DIFFERENCE", "SUB", "TANH",
})  # fmt: skip
MAX_NODES = 64
MAX_VALUES = 1 << 22


@dataclass(frozen=True, slots=True)
class Cone:
    """Operators that compute one value from ``source``; whoever is outside reads only the last one's.

    Attributes:
        source: tensor index.
        nodes: in execution order.
    """

    source: int
    nodes: tuple[Node, ...]

    @property
    def result(self) -> int:
        return self.nodes[-1].outputs[0]


def cones(editor: Editor, node: Node) -> list[Cone]:
    """Returns: the cones that end in a node, the largest first."""
    if not _is_plain(editor, node):
        return []
    inside: dict[int, Node] = {editor.position(node): node}
    edge = _values(editor, node)
    found: list[Cone] = []
    while edge and len(inside) < MAX_NODES:
        if len(edge) == 1:
            (source,) = edge
            found.append(Cone(source, tuple(inside[place] for place in sorted(inside))))
        # The last one computed: all its readers inside are known by now.
        makers = {i: editor.position(editor.producers[i]) for i in edge if i in editor.producers}
        if not makers:
            break
        last = max(makers, key=lambda i: makers[i])
        maker = editor.producers[last]
        hidden = last not in editor.graph.outputs and all(
            editor.position(reader) in inside for reader in editor.readers(last)
        )
        if not hidden or not _is_plain(editor, maker):
            break
        inside[makers[last]] = maker
        edge = (edge - {last}) | _values(editor, maker)
    shape = editor.shape(node.outputs[0])
    return [cone for cone in reversed(found) if shape is not None and _keeps(editor, cone, shape)]


def _keeps(editor: Editor, cone: Cone, shape: Shape) -> bool:
    """Returns: whether a cone maps a float value to one of the same shape, with no other shape between."""
    inner = [cone.source, *(node.outputs[0] for node in cone.nodes)]
    return editor.is_float(cone.source, cone.result) and all(editor.shape(index) == shape for index in inner)


def _is_plain(editor: Editor, node: Node) -> bool:
    if node.op not in ELEMENTWISE or len(node.outputs) != 1 or min(node.inputs, default=-1) < 0:
        return False
    tensors = [editor.graph.tensors[i] for i in (*node.inputs, *node.outputs)]
    return all(t.dtype in (DType.FLOAT32, DType.BOOL) and not t.is_variable for t in tensors)


def _values(editor: Editor, node: Node) -> set[int]:
    """Returns: the operands that are known only at run time."""
    return {i for position, i in enumerate(node.inputs) if editor.floats(node, position) is None}


def constants(editor: Editor, cone: Cone) -> list[Array]:
    """Returns: the constant operands of all operators of a cone."""
    values = (editor.floats(node, position) for node in cone.nodes for position in range(len(node.inputs)))
    return [array for array in values if array is not None]


def channels(arrays: Sequence[Array], rank: int) -> Shape | None:
    """Returns: the shape to which constants broadcast, None where that is more than the value has."""
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        return None
    return shape if len(shape) <= rank else None


def answers(editor: Editor, cone: Cone, x: Array) -> Array | None:
    """Computes a cone for any x to which its constants broadcast.

    Returns: the result of x's shape, None where an operator cannot be computed.
    """
    known: dict[int, Array] = {cone.source: x}
    for node in cone.nodes:
        inputs = [_given(editor, node, position, known) for position in range(len(node.inputs))]
        op = find(node.op)
        if op is None or op.reference is None:
            return None
        kinds = [TensorType(array.shape, DType(array.dtype.name)) for array in inputs]
        dtype = editor.graph.tensors[node.outputs[0]].dtype
        try:
            (result,) = op.reference(node, inputs, kinds, [TensorType(x.shape, dtype)])
        except InvalidGraph:
            return None
        known[node.outputs[0]] = result
    result = known[cone.result]
    return result if result.shape == x.shape else None


def _given(editor: Editor, node: Node, position: int, known: dict[int, Array]) -> Array:
    values = editor.floats(node, position)
    return known[node.inputs[position]] if values is None else values


def points(arrays: Sequence[Array]) -> Array:
    """Returns: float32 x at which two functions are compared: dense around zero, sparse to 10⁴, and on
    either side of every place where the constants may put a kink."""
    told = np.unique(np.concatenate([a.reshape(-1)[:256] for a in arrays] or [np.zeros(1)]))
    kinks = np.concatenate([told, -told, *_quotients(told)])
    kinks = kinks[np.isfinite(kinks) & (np.abs(kinks) < 1e6)].astype(np.float64)
    far = np.logspace(-5, 4, 64)
    around = [kinks, kinks * 0.999 - 1e-4, kinks * 1.001 + 1e-4]
    values = np.concatenate([np.linspace(-9, 9, 541), far, -far, *around])
    return np.unique(values.astype(np.float32))


def _quotients(told: Array) -> Iterator[Array]:
    few = told[np.isfinite(told)][:8].astype(np.float64)
    for value in few[few != 0]:
        yield few / value
        yield -few / value

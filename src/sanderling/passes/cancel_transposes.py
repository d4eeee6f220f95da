"""Merges TRANSPOSE with the TRANSPOSE before it, also through elementwise operators between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

Order = tuple[int, ...]

_ELEMENTWISE = frozenset({
    "ABS", "ADD", "CEIL", "COS", "DIV", "ELU", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG",
    "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "NEG", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT",
    "SIN", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SUB", "TANH",
})  # fmt: skip
MAX_DEPTH = 32  # values between two TRANSPOSEs


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite)


def _rewrite(editor: Editor, node: Node) -> str | None:
    order = _order(editor, node)
    if order is None:
        return None
    between: dict[int, Order | None] = {}
    before = _common(editor, node.inputs[0], between)
    if before is None or len(between) > MAX_DEPTH:
        return None
    source = _moved(editor, node.inputs[0], before, {})
    shape = editor.shapes[source]
    editor.transpose(source, shape, tuple(before[axis] for axis in order), node.outputs[0])
    return f"TRANSPOSE {editor.name(node)!r} was merged with the one before it"


def _order(editor: Editor, node: Node) -> Order | None:
    """Returns: the permutation of a TRANSPOSE of floats."""
    if node.op != "TRANSPOSE" or not editor.is_float(node.inputs[0], *node.outputs):
        return None
    order, shape = editor.integers(node, 1), editor.shapes.get(node.inputs[0])
    if order is None or shape is None or order.size != len(shape):
        return None
    return tuple(int(axis) % len(shape) for axis in order.ravel())


def _common(editor: Editor, index: int, known: dict[int, Order | None]) -> Order | None:
    """Returns: the permutation by which all that a value is computed from was transposed, or None."""
    if index not in known and len(known) <= MAX_DEPTH:
        known[index] = None
        known[index] = _of_operands(editor, index, known)
    return known.get(index)


def _of_operands(editor: Editor, index: int, known: dict[int, Order | None]) -> Order | None:
    node = editor.producers.get(index)
    if node is None:
        return None
    order = _order(editor, node)
    if order is not None:
        return order
    shape = editor.shapes.get(index)
    plain = shape is not None and len(node.outputs) == 1 and editor.is_float(*node.inputs, index)
    if node.op not in _ELEMENTWISE or not editor.read_once(index) or not plain or -1 in node.inputs:
        return None
    # An operand that is broadcast has another shape: it would need a transposition of its own.
    values = [i for position, i in enumerate(node.inputs) if editor.floats(node, position) is None]
    if any(editor.shapes.get(i) != shape for i in values):
        return None
    orders = {_common(editor, i, known) for i in values}
    return orders.pop() if len(orders) == 1 else None


def _moved(editor: Editor, index: int, order: Order, done: dict[int, int]) -> int:
    """Computes a value from untransposed operands. Returns: the tensor, which ``order`` transposes to it."""
    node = editor.producers[index]
    if node.op == "TRANSPOSE":
        return node.inputs[0]
    if index in done:
        return done[index]
    inputs = []
    for position, operand in enumerate(node.inputs):
        values = editor.floats(node, position)
        if values is None:
            inputs.append(_moved(editor, operand, order, done))
        elif values.size == 1:
            inputs.append(operand)
        else:
            full = values.reshape((1,) * (len(order) - values.ndim) + values.shape)
            inputs.append(editor.constant(full.transpose(_inverse(order)), f"{editor.name(node)}/constant"))
    shape = editor.shapes[index]
    before = tuple(shape[axis] for axis in _inverse(order))
    result = editor.value(before, f"{editor.name(node)}/untransposed")
    editor.builder.node(replace(node, inputs=tuple(inputs), outputs=(result,)))
    done[index] = result
    return result


def _inverse(order: Sequence[int]) -> Order:
    return tuple(int(axis) for axis in np.argsort(order))


PASS = Pass("cancel_transposes", "merge TRANSPOSE with the one before it", apply)

"""Reads the weights of a FULLY_CONNECTED in the order that its operand lies in, instead of transposing it.

Frameworks that keep channels first flatten an image in that order before the first dense layer: where the
image has channels last, a TRANSPOSE is left in front of it. Constant weights can be turned beforehand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array, DType
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Permutes in the main graph."""
    return rewrite_nodes(model, _rewrite, ("FULLY_CONNECTED",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    flatten = editor.made_by(node.inputs[0], "RESHAPE")
    turn = editor.made_by(flatten.inputs[0] if flatten is not None else node.inputs[0], "TRANSPOSE")
    rows = editor.shape(node.inputs[0])
    if turn is None or rows is None or len(editor.readers(node.inputs[1])) != 1:
        return None
    source, turned, told = turn.inputs[0], editor.shape(turn.outputs[0]), editor.integers(turn, 1)
    if turned is None or told is None:
        return None
    inner = _inner(turned, rows[-1] if flatten is not None else _depth(editor, node))
    order = [int(axis) % len(turned) for axis in told]
    if inner is None or order[:inner] != list(range(inner)):
        return None
    weights = _permuted(editor, node, turned[inner:], [axis - inner for axis in order[inner:]])
    if weights is None:
        return None
    name = editor.name(node)
    lying = source
    if flatten is not None:
        lying = editor.reshape(source, rows, editor.value(rows, f"{name}/rows", like=node.inputs[0]))
    editor.builder.node(replace(node, inputs=(lying, weights, *node.inputs[2:])))
    return f"FULLY_CONNECTED {name!r} took the TRANSPOSE before it into its weights"


def _depth(editor: Editor, node: Node) -> int:
    """Returns: how many elements a row has where the operator flattens by itself, 0 where it does not."""
    shape = editor.shape(node.inputs[1], 2)
    return shape[1] if shape is not None and not node.attrs.get("keep_num_dims") else 0


def _inner(shape: Shape, depth: int) -> int | None:
    """Returns: the first of the last axes that make up a row, None where no number of axes does."""
    for axis in range(len(shape) - 1, 0, -1):
        if int(np.prod(shape[axis:])) == depth:
            return axis
    return None


def _permuted(editor: Editor, node: Node, sizes: Shape, order: list[int]) -> int | None:
    """Returns: the weights for rows before these were put in this order, None if they are not known."""
    tensor = editor.graph.tensors[node.inputs[1]]
    quant = tensor.quant
    if quant is not None and (
        quant.block or tensor.dtype is not DType.INT8 or (quant.per_channel and quant.axis != 0)
    ):
        return None
    values: Array | None = tensor.data if quant is not None else editor.floats(node, 1)
    if values is None or values.ndim != 2 or values.shape[1] != int(np.prod(sizes)):
        return None
    back = np.argsort(order)
    turned = values.reshape(-1, *sizes).transpose(0, *(1 + int(axis) for axis in back)).reshape(values.shape)
    if quant is None:
        return editor.constant(turned, f"{editor.name(node)}/weights")
    return editor.builder.tensor(replace(tensor, data=np.ascontiguousarray(turned)))


PASS = Pass("permute_weights", "weights of dense layers in the order of their operand", apply)

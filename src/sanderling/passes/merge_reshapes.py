"""Turns every operator that only renames dimensions into RESHAPE, and chains of them into one.

EXPAND_DIMS and SQUEEZE keep a graph from being handed to XNNPACK whole, a TRANSPOSE that only moves
dimensions of size 1 copies for nothing, and converters write chains of all of these.
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite, ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    shape = _renamed(editor, node)
    if shape is None:
        return None
    root, length = node.inputs[0], 1
    while (before := editor.producers.get(root)) and _renamed(editor, before) is not None:
        root, length = before.inputs[0], length + 1
    told = editor.integers(node, 1) if node.op == "RESHAPE" else None
    if length == 1 and told is not None:
        return None
    if not _same_elements(editor.shapes[root], shape):
        return None
    editor.reshape(root, shape, node.outputs[0])
    if length > 1:
        return f"merged {length} operators that rename dimensions into RESHAPE {editor.name(node)!r}"
    return f"{node.op} {editor.name(node)!r} became RESHAPE"


def _renamed(editor: Editor, node: Node) -> Shape | None:
    """Returns: the shape that a node gives to the same elements in the same order, or None."""
    if node.op not in ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE"):
        return None
    if len(node.outputs) != 1 or not node.inputs or node.inputs[0] < 0:
        return None
    source, target = editor.graph.tensors[node.inputs[0]], editor.graph.tensors[node.outputs[0]]
    plain = source.quant is None and target.quant is None
    if source.is_constant or source.is_variable or target.is_variable or not plain:
        return None
    before, after = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    if before is None or after is None or not _same_elements(before, after):
        return None
    if node.op == "TRANSPOSE":
        order = editor.integers(node, 1)
        if order is None or not _keeps_order(before, [int(axis) % len(before) for axis in order]):
            return None
    return after


def _keeps_order(shape: Shape, order: list[int]) -> bool:
    moved = [axis for axis in order if shape[axis] != 1]
    return moved == sorted(moved)


def _same_elements(before: Shape, after: Shape) -> bool:
    """Returns: whether one can be reshaped to the other whatever the size that may change."""
    if (-1 in before) != (-1 in after):
        return False
    if -1 in after and (before[0] != -1 or after[0] != -1):
        return False
    return int(np.prod(before)) == int(np.prod(after))


PASS = Pass("merge_reshapes", "one RESHAPE for operators that rename dimensions", apply, exact=True)

"""Interleaves single elements by one TRANSPOSE instead of copying them one by one.

CONCATENATION along the innermost dimension of inputs that have size 1 there, and PACK along it, copy four
bytes at a time. One behind the other and then transposed, the same values are copied in blocks. Other PACKs
become CONCATENATION, which XNNPACK takes.
"""

from __future__ import annotations

from math import prod

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Rewrites in the main graph."""
    return rewrite_nodes(model, _rewrite, ("CONCATENATION", "PACK"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in ("PACK", "CONCATENATION") or len(node.inputs) < 2:
        return None
    if node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    if min(node.inputs) < 0 or not editor.is_float(*node.inputs, *node.outputs):
        return None
    shapes = {editor.shape(index) for index in node.inputs}
    shape, out = shapes.pop(), editor.shape(node.outputs[0])
    if shapes or shape is None or out is None:
        return None
    axis = int(node.attrs.get("axis", 0)) % len(out)
    if -1 in shape and axis == 0:
        return None
    run, outer = prod(shape[axis:]), -1 if -1 in shape else prod(shape[:axis])
    if node.op == "CONCATENATION" and (run != 1 or outer == 1):
        return None
    if run == 1 and outer != 1:
        return _interleave(editor, node, outer, out)
    return _concatenate(editor, node, shape, axis, out)


def _interleave(editor: Editor, node: Node, outer: int, out: Shape) -> str:
    name, count = editor.name(node), len(node.inputs)
    rows = [editor.reshape(index, (1, outer), f"{name}/row") for index in node.inputs]
    attrs = {"axis": 0, "fused_activation_function": "NONE"}
    shape = (count, outer)
    all_rows = editor.emit("CONCATENATION", rows, (shape, f"{name}/rows"), "ConcatenationOptions", attrs)
    columns = editor.transpose(all_rows, shape, (1, 0), f"{name}/columns")
    editor.reshape(columns, out, node.outputs[0])
    return f"{node.op} {name!r} interleaves {count} inputs by one TRANSPOSE"


def _concatenate(editor: Editor, node: Node, shape: Shape, axis: int, out: Shape) -> str:
    name = editor.name(node)
    longer = (*shape[:axis], 1, *shape[axis:])
    parts = [editor.reshape(index, longer, f"{name}/part") for index in node.inputs]
    attrs = {"axis": axis, "fused_activation_function": "NONE"}
    editor.emit("CONCATENATION", parts, node.outputs[0], "ConcatenationOptions", attrs)
    return f"PACK {name!r} became CONCATENATION"


PASS = Pass("widen_concatenations", "copy blocks instead of single elements", apply, exact=True, grows=True)

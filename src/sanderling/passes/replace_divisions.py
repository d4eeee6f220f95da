"""Multiplies instead of dividing: by the RSQRT of what a SQRT was taken of, and by a constant's reciprocal.

A square root is as a rule taken of a few statistics and divides a whole picture or sequence by them: what
remains of layer and instance normalization.
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Replaces in the main graph."""
    return rewrite_nodes(model, _rewrite, ("DIV",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "DIV" or len(node.inputs) != 2 or not editor.is_float(*node.inputs, *node.outputs):
        return None
    attrs = {"fused_activation_function": node.attrs.get("fused_activation_function", "NONE")}
    told = editor.floats(node, 1)
    if told is not None:
        return _by_constant(editor, node, attrs)
    root = editor.made_by(node.inputs[1], "SQRT")
    shape = editor.shape(node.inputs[1])
    if root is None or shape is None or not editor.read_once(node.inputs[1]):
        return None
    # 1 / √x is for recognize_functions, where both have one shape.
    name = editor.name(node)
    inverse = editor.emit("RSQRT", (root.inputs[0],), (shape, f"{name}/rsqrt"))
    editor.emit("MUL", (node.inputs[0], inverse), node.outputs[0], "MulOptions", attrs)
    return f"DIV {name!r} by SQRT multiplies by RSQRT"


def _by_constant(editor: Editor, node: Node, attrs: dict[str, object]) -> str | None:
    told = editor.floats(node, 1)
    assert told is not None
    with np.errstate(all="ignore"):
        inverse = (1 / told.astype(np.float64)).astype(np.float32)
    tiny = float(np.finfo(np.float32).tiny)
    usable = np.isfinite(inverse).all() and np.isfinite(told).all() and (np.abs(inverse) > tiny).all()
    if not usable or len(editor.readers(node.inputs[1])) > 1:
        return None
    factor = editor.constant(inverse, f"{editor.name(node)}/reciprocal")
    multiplied = Node("MUL", (node.inputs[0], factor), node.outputs, attrs, "MulOptions")
    editor.builder.node(multiplied)
    return f"DIV {editor.name(node)!r} by a constant multiplies by its reciprocal"


PASS = Pass("replace_divisions", "multiply by reciprocals instead of dividing", apply)

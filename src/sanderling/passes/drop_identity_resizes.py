"""Removes RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR to the size that is there already.

At a ratio of 1 every output pixel lies on an input pixel, whichever way the centers are counted.
"""

from __future__ import annotations

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Removes in the main graph."""
    return rewrite_nodes(model, _rewrite, ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        return None
    before, after = editor.shape(node.inputs[0], 4), editor.shape(node.outputs[0], 4)
    if before is None or before != after or not editor.is_float(node.inputs[0], *node.outputs):
        return None
    # Renaming nothing: drop_no_ops takes it out, whether or not the output belongs to the interface.
    editor.reshape(node.inputs[0], before, node.outputs[0])
    return f"{node.op} {editor.name(node)!r} keeps the size"


PASS = Pass("drop_identity_resizes", "remove resizing to the same size", apply, exact=True)

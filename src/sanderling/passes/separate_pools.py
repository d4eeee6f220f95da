"""Pools large windows first down the columns, then along the rows.

The maximum of a window is the maximum of its columns' maxima, its mean the mean of its columns' means (also
at the border, where a window's part inside the image is still a rectangle): k + k readings, not k × k.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._windows import axes
from sanderling.passes.rewrite import Pass

WORTHWHILE = 1.3
_PER_WINDOW = 4  # readings that starting a window costs


def apply(model: Model) -> tuple[Model, list[str]]:
    """Separates in the main graph."""
    return rewrite_nodes(model, _rewrite, ("AVERAGE_POOL_2D", "MAX_POOL_2D"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in ("MAX_POOL_2D", "AVERAGE_POOL_2D") or not editor.is_float(*node.inputs, *node.outputs):
        return None
    image = editor.shape(node.inputs[0], 4)
    height, width = (int(node.attrs.get(f"filter_{side}", 0)) for side in ("height", "width"))
    ways = axes(node, image, (height, width)) if image is not None and min(height, width) > 1 else None
    if image is None or ways is None:
        return None
    rows, columns = ways
    old = rows.out * columns.out * (height * width + _PER_WINDOW)
    first = rows.out * columns.size * (height + _PER_WINDOW)
    second = rows.out * columns.out * (width + _PER_WINDOW)
    if old < WORTHWHILE * (first + second):
        return None
    name = editor.name(node)
    between = editor.value((image[0], rows.out, image[2], image[3]), f"{name}/columns")
    down = {**node.attrs, "filter_width": 1, "stride_w": 1, "fused_activation_function": "NONE"}
    along = {**node.attrs, "filter_height": 1, "stride_h": 1}
    editor.builder.node(replace(node, outputs=(between,), attrs=down))
    editor.builder.node(replace(node, inputs=(between,), attrs=along))
    return f"{node.op} {name!r} of {height}×{width} became {height}×1 and 1×{width}"


PASS = Pass("separate_pools", "pool large windows by columns, then by rows", apply, grows=True)

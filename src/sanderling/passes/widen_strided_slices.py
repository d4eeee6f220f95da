"""Takes every s-th row or column as a block of a reshaped tensor.

Where a size is a multiple of the stride s, [L, M] is [L / s, s · M] in memory, and every s-th row is a part
of each of its rows: a SLICE, which copies blocks and which XNNPACK takes, instead of single elements.
"""

from __future__ import annotations

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass

_MASKS = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def apply(model: Model) -> tuple[Model, list[str]]:
    """Widens in the main graph."""
    return rewrite_nodes(model, _rewrite, ("STRIDED_SLICE",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "STRIDED_SLICE" or not editor.is_float(node.inputs[0], *node.outputs):
        return None
    shape = editor.shape(node.inputs[0])
    ranges = _ranges(editor, node, shape) if shape is not None else None
    if shape is None or ranges is None or all(r.step == 1 for r in ranges) or ranges[-1].step != 1:
        return None
    if any(size > 0 and size % r.step for size, r in zip(shape, ranges, strict=True)):
        return None
    wide, begin, taken = [], [], []
    before = range(0, 1, 1)
    for size, this in zip(shape, ranges, strict=True):
        blocks = size // this.step if size > 0 else size
        # The phase of the dimension before says which of its s parts of this one is meant.
        wide.append(blocks if size < 0 else before.step * blocks)
        begin.append(before.start % before.step * blocks + this.start // this.step)
        taken.append(size if size < 0 else len(this))
        before = this
    source = editor.reshape(node.inputs[0], tuple(wide), f"{editor.name(node)}/blocks")
    editor.cut(source, begin, tuple(taken), node.outputs[0])
    return f"STRIDED_SLICE {editor.name(node)!r} cuts blocks"


def _ranges(editor: Editor, node: Node, shape: Shape) -> list[range] | None:
    """Returns: the indices taken of every dimension; all (as range(0, 0)) of one that may change."""
    operands = [editor.integers(node, position) for position in (1, 2, 3)]
    if any(node.attrs.get(mask) for mask in _MASKS) or node.attrs.get("offset"):
        return None
    ranges: list[range] = []
    for axis, size in enumerate(shape):
        told = [None if a is None or a.shape != (len(shape),) else int(a[axis]) for a in operands]
        begin, end, step = told
        if begin is None or end is None or step is None or step < 1:
            return None
        open_begin, open_end = (node.attrs.get(f"{side}_mask", 0) >> axis & 1 for side in ("begin", "end"))
        if size < 0:
            if step != 1 or not open_end or (begin and not open_begin):
                return None
            ranges.append(range(0))
            continue
        taken = range(size)[slice(None if open_begin else begin, None if open_end else end, step)]
        if not taken:
            return None
        ranges.append(taken)
    return ranges


PASS = Pass("widen_strided_slices", "cut blocks instead of single elements", apply, exact=True, grows=True)

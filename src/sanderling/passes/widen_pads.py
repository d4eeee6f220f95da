"""Pads whole rows instead of pixels.

XNNPACK copies one run at a time, and what lies behind the last padded dimension is one run: with few
channels these are a few bytes each. Seen as [N, H, W · C] the same PAD copies rows.
"""

from __future__ import annotations

from math import prod

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

LONG_RUN = 32  # elements, from which on there is nothing to gain
# XNNPACK takes the PAD before these into their own padding.
_FUSED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def apply(model: Model) -> tuple[Model, list[str]]:
    """Widens in the main graph."""
    return rewrite_nodes(model, _rewrite, ("PAD",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "PAD" or not editor.is_float(node.inputs[0], *node.outputs):
        return None
    shape, pads = editor.shape(node.inputs[0]), editor.integers(node, 1)
    if shape is None or pads is None or pads.shape != (len(shape), 2) or pads.min() < 0:
        return None
    padded = [axis for axis in range(len(shape)) if pads[axis].any()]
    if not padded or padded[-1] in (0, len(shape) - 1):
        return None
    last = padded[-1]
    run = prod(shape[last + 1 :])
    readers = {reader.op for reader in editor.readers(node.outputs[0])}
    if run >= LONG_RUN or (readers and readers <= _FUSED and node.outputs[0] not in editor.graph.outputs):
        return None
    name = editor.name(node)
    amounts = [(int(before), int(after)) for before, after in pads]
    rows = editor.reshape(node.inputs[0], (*shape[:last], shape[last] * run), f"{name}/rows")
    wide = [*amounts[:last], (amounts[last][0] * run, amounts[last][1] * run)]
    padded_rows = editor.pad(rows, editor.shapes[rows], wide, f"{name}/padded")
    sizes = tuple(size if size < 0 else size + sum(pad) for size, pad in zip(shape, amounts, strict=True))
    editor.reshape(padded_rows, sizes, node.outputs[0])
    return f"PAD {name!r} copies rows instead of runs of {run}"


PASS = Pass("widen_pads", "let PAD copy rows instead of pixels", apply, exact=True, grows=True)

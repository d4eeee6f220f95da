"""Takes a PAD into the convolution behind it where SAME padding is exactly that."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._windows import axes, fits_same
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Fuses in the main graph."""
    return rewrite_nodes(model, _rewrite)


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in ("CONV_2D", "DEPTHWISE_CONV_2D") or node.attrs.get("padding") != "VALID":
        return None
    pad = editor.made_by(node.inputs[0], "PAD")
    if pad is None or not editor.is_float(pad.inputs[0], *node.outputs):
        return None
    image, padded = editor.shape(pad.inputs[0], 4), editor.shape(node.inputs[0], 4)
    kernel = editor.shape(node.inputs[1], 4)
    pads = editor.integers(pad, 1)
    if image is None or padded is None or kernel is None or pads is None or pads.shape != (4, 2):
        return None
    ways = axes(node, padded, (kernel[1], kernel[2]))
    if ways is None or pads[0].any() or pads[3].any() or pads.min() < 0:
        return None
    # The window moves as before, only its padding is now its own: SAME has to put it in the same place.
    own = [replace(way, size=image[d + 1], before=int(pads[d + 1, 0])) for d, way in enumerate(ways)]
    if not all(map(fits_same, own)):
        return None
    attrs = {**node.attrs, "padding": "SAME"}
    editor.builder.node(replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), attrs=attrs))
    return f"PAD {editor.name(pad)!r} went into {node.op}"


PASS = Pass("fuse_pad", "take PAD into a convolution's own padding", apply)

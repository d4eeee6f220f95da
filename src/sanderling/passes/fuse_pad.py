"""Takes a PAD into the convolution or the pool behind it where SAME padding is exactly that.

MAX_POOL_2D never sees its own padding: it takes padding with the lowest number, or with zeros where nothing
is below zero. AVERAGE_POOL_2D does not count its own padding, a PAD it does: they stay two.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes._windows import axes, fits_same
from sanderling.passes.rewrite import Pass

_LOWEST = -3e38
_NEVER_NEGATIVE = frozenset({"ABS", "EXP", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "SOFTMAX", "SQUARE"})


def apply(model: Model) -> tuple[Model, list[str]]:
    """Fuses in the main graph."""
    return rewrite_nodes(model, _rewrite, ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D") or len(node.inputs) < 1:
        return None
    pad = editor.made_by(node.inputs[0], "PAD", "PADV2")
    if pad is None or node.attrs.get("padding") != "VALID" or not _is_invisible(editor, node, pad):
        return None
    image, padded = editor.shape(pad.inputs[0], 4), editor.shape(node.inputs[0], 4)
    window = _window(editor, node)
    pads = editor.integers(pad, 1)
    if image is None or padded is None or window is None or pads is None or pads.shape != (4, 2):
        return None
    ways = axes(node, padded, window)
    if ways is None or pads[0].any() or pads[3].any() or pads.min() < 0:
        return None
    # The window moves as before, only its padding is now its own: SAME has to put it in the same place.
    own = [replace(way, size=image[d + 1], before=int(pads[d + 1, 0])) for d, way in enumerate(ways)]
    if not all(map(fits_same, own)):
        return None
    attrs = {**node.attrs, "padding": "SAME"}
    editor.builder.node(replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), attrs=attrs))
    return f"{pad.op} {editor.name(pad)!r} went into {node.op}"


def _is_invisible(editor: Editor, node: Node, pad: Node) -> bool:
    """Returns: whether what is padded is what the operator's own padding does."""
    source, padded = (editor.graph.tensors[i] for i in (pad.inputs[0], node.inputs[0]))
    if node.op != "MAX_POOL_2D":
        # Stored integers are padded with their zero point, by both.
        same = source.dtype is padded.dtype and source.quant == padded.quant
        return pad.op == "PAD" and same and (source.quant is not None or editor.is_float(pad.inputs[0]))
    if not editor.is_float(pad.inputs[0], *node.outputs):
        return False
    if pad.op == "PADV2":
        value = editor.floats(pad, 2)
        return value is not None and value.size == 1 and bool(np.all(value < _LOWEST))
    return _never_negative(editor, pad.inputs[0])


def _never_negative(editor: Editor, index: int) -> bool:
    maker = editor.producers.get(index)
    while maker is not None and maker.op == "MAX_POOL_2D":
        if maker.attrs.get("fused_activation_function") in ("RELU", "RELU6"):
            return True
        maker = editor.producers.get(maker.inputs[0])
    if maker is None:
        return False
    return maker.op in _NEVER_NEGATIVE or maker.attrs.get("fused_activation_function") in ("RELU", "RELU6")


def _window(editor: Editor, node: Node) -> tuple[int, int] | None:
    if node.op == "MAX_POOL_2D":
        return int(node.attrs.get("filter_height", 0)), int(node.attrs.get("filter_width", 0))
    kernel: Shape | None = editor.shape(node.inputs[1], 4)
    return None if kernel is None else (kernel[1], kernel[2])


PASS = Pass("fuse_pad", "take PAD into the padding of a convolution or pool", apply, exact=True)

"""Puts a dilated convolution in the place of SPACE_TO_BATCH_ND, a plain one and BATCH_TO_SPACE_ND.

The three compute the dilated one in phases, as frameworks did that had none. What is padded in the beginning
and cropped in the end becomes its own padding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes._windows import Axis, fits_same
from sanderling.passes.rewrite import Pass

_Pairs = list[tuple[int, int]]


def apply(model: Model) -> tuple[Model, list[str]]:
    """Replaces in the main graph."""
    return rewrite_nodes(model, _rewrite, ("BATCH_TO_SPACE_ND",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "BATCH_TO_SPACE_ND" or not editor.is_float(node.inputs[0], *node.outputs):
        return None
    layer = editor.made_by(node.inputs[0], "CONV_2D", "DEPTHWISE_CONV_2D")
    spread = editor.made_by(layer.inputs[0], "SPACE_TO_BATCH_ND") if layer else None
    if layer is None or spread is None or not editor.hides([spread, layer, node], node.outputs[0]):
        return None
    image, out = editor.shape(spread.inputs[0], 4), editor.shape(node.outputs[0], 4)
    kernel = editor.shape(layer.inputs[1], 4)
    blocks = editor.integers(spread, 1), editor.integers(node, 1)
    if image is None or out is None or kernel is None or blocks[0] is None or blocks[1] is None:
        return None
    if blocks[0].size != 2 or not np.array_equal(blocks[0].ravel(), blocks[1].ravel()):
        return None
    steps = ("stride_h", "stride_w", "dilation_h_factor", "dilation_w_factor")
    plain = all(layer.attrs.get(name, 1) == 1 for name in steps) and layer.attrs.get("padding") == "VALID"
    pads = _pads(editor, spread, node)
    if not plain or pads is None or not editor.is_float(spread.inputs[0], *layer.inputs):
        return None
    dilation = int(blocks[0].flat[0]), int(blocks[0].flat[1])
    ways = [Axis(image[d + 1], kernel[d + 1], 1, dilation[d], out[d + 1], pads[d][0]) for d in range(2)]
    if any(way.after != pads[d][1] for d, way in enumerate(ways)):
        return None  # another size than the dilated one gives
    _emit(editor, node, (spread, layer), image, ways)
    return f"{layer.op} {editor.name(node)!r} is dilated by {dilation[0]}×{dilation[1]} itself"


def _pads(editor: Editor, spread: Node, node: Node) -> _Pairs | None:
    """Returns: what is padded and not cropped again, for height and width."""
    added, cropped = editor.integers(spread, 2), editor.integers(node, 2)
    if added is None or cropped is None or added.shape != (2, 2) or cropped.shape != (2, 2):
        return None
    rest = added.astype(np.int64) - cropped
    return None if rest.min() < 0 else [(int(before), int(after)) for before, after in rest]


def _emit(editor: Editor, node: Node, pattern: tuple[Node, Node], image: Shape, ways: list[Axis]) -> None:
    spread, layer = pattern
    source, padding = spread.inputs[0], "VALID"
    if any(way.before or way.after for way in ways):
        if all(map(fits_same, ways)):
            padding = "SAME"
        else:
            pads = ((0, 0), *((way.before, way.after) for way in ways), (0, 0))
            source = editor.pad(source, image, pads, f"{editor.name(node)}/padded")
    attrs = {
        **layer.attrs, "padding": padding,
        "dilation_h_factor": ways[0].dilation, "dilation_w_factor": ways[1].dilation,
    }  # fmt: skip
    version = max(layer.version, 2)
    inputs = (source, *layer.inputs[1:])
    editor.builder.node(replace(layer, inputs=inputs, outputs=node.outputs, attrs=attrs, version=version))


PASS = Pass("recognize_dilated_convolutions", "dilated convolutions for those in batches", apply)

"""Turns CONV_2D with as many groups as channels into DEPTHWISE_CONV_2D, which has faster kernels."""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

_OPTIONS = ("padding", "stride_w", "stride_h", "fused_activation_function")
_DILATION = ("dilation_w_factor", "dilation_h_factor")


def apply(model: Model) -> tuple[Model, list[str]]:
    """Replaces in the main graph."""
    return rewrite_nodes(model, _rewrite, ("CONV_2D",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "CONV_2D" or not editor.is_float(*node.inputs, *node.outputs):
        return None
    weights, image = editor.floats(node, 1), editor.shape(node.inputs[0], 4)
    if weights is None or image is None or weights.ndim != 4 or weights.shape[3] != 1 or image[3] < 2:
        return None
    channels = weights.shape[0]
    if channels % image[3] or len(editor.readers(node.inputs[1])) > 1:
        return None
    bias = editor.bias(node, 2, channels)
    if bias is None:
        return None
    name = editor.name(node)
    # Both have output channels g · m … g · m + m − 1 read input channel g.
    turned = np.ascontiguousarray(weights.transpose(3, 1, 2, 0))
    operands = (editor.constant(turned, f"{name}/weights"), editor.constant(bias, f"{name}/bias"))
    attrs = {key: node.attrs[key] for key in _OPTIONS if key in node.attrs}
    attrs |= {key: node.attrs.get(key, 1) for key in _DILATION}
    attrs["depth_multiplier"] = channels // image[3]
    layer = Node(
        "DEPTHWISE_CONV_2D", (node.inputs[0], *operands), node.outputs, attrs, "DepthwiseConv2DOptions",
        version=2,
    )  # fmt: skip
    editor.builder.node(layer)
    return f"CONV_2D {name!r} in {image[3]} groups became DEPTHWISE_CONV_2D"


PASS = Pass("replace_grouped_convolutions", "DEPTHWISE_CONV_2D for one group per channel", apply)

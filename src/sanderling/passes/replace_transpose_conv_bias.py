"""Replaces MediaPipe's custom operator ``Convolution2DTransposeBias`` by the builtin TRANSPOSE_CONV.

The custom operator runs where MediaPipe or XNNPACK is there; the builtin one everywhere. Its options are
the struct ``TfLiteTransposeConvParams``: padding (1 SAME, 2 VALID), stride width, stride height.
"""

from __future__ import annotations

import struct

import numpy as np

from sanderling.graph.graph import CUSTOM, Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

_PADDINGS = {1: "SAME", 2: "VALID"}


def apply(model: Model) -> tuple[Model, list[str]]:
    """Replaces in the main graph."""
    return rewrite_nodes(model, _rewrite, (CUSTOM,))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != CUSTOM or node.custom_code != "Convolution2DTransposeBias":
        return None
    # Later versions of the struct append fields that float operators do not read.
    if len(node.inputs) != 3 or len(node.outputs) != 1 or len(node.custom_options) < 12:
        return None
    kind, stride_w, stride_h = struct.unpack_from("<iii", node.custom_options)
    weights = editor.floats(node, 1)
    image = editor.shape(node.inputs[0], 4)
    padding = _PADDINGS.get(kind)
    if padding is None or weights is None or weights.ndim != 4 or image is None or image[0] < 0:
        return None
    if min(stride_w, stride_h) < 1 or image[3] != weights.shape[3] or not editor.is_float(*node.inputs):
        return None
    channels, *kernel, _ = weights.shape
    strides = (stride_h, stride_w)
    # SAME gives input × stride, VALID adds what the last window reaches beyond that.
    beyond = [0, 0] if padding == "SAME" else [k - s for k, s in zip(kernel, strides, strict=True)]
    if min(beyond) < 0:
        return None
    height, width = (
        size * stride + more for size, stride, more in zip(image[1:3], strides, beyond, strict=True)
    )
    shape = (image[0], height, width, channels)
    if editor.graph.tensors[node.outputs[0]].shape != shape:
        return None  # this file's converter counted in another way
    target = editor.constant(np.array(shape, np.int32), f"{editor.name(node)}/shape")
    attrs = {
        "padding": padding, "stride_w": stride_w, "stride_h": stride_h, "fused_activation_function": "NONE",
    }  # fmt: skip
    inputs = (target, node.inputs[1], node.inputs[0], node.inputs[2])
    builtin = Node("TRANSPOSE_CONV", inputs, node.outputs, attrs, "TransposeConvOptions", version=3)
    editor.builder.node(builtin)
    return f"Convolution2DTransposeBias {editor.name(node)!r} became the builtin TRANSPOSE_CONV"


PASS = Pass(
    "replace_transpose_conv_bias",
    "builtin TRANSPOSE_CONV instead of MediaPipe's own",
    apply,
    lowers="Convolution2DTransposeBias",
    needs=("TRANSPOSE_CONV",),
)

"""Moves upsampling behind pointwise convolutions.

A RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR mixes pixels of one channel with weights that sum to 1, a 1 × 1
convolution mixes channels of one pixel: either order gives the same. After the convolution there are fewer
channels to resize, before it fewer pixels to convolve. An activation has to come last, except with nearest
neighbours, which only copy.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

_ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
_ENOUGH_CHANNELS = 8  # with fewer, an activation of its own costs as much as it saves


def apply(model: Model) -> tuple[Model, list[str]]:
    """Moves in the main graph."""
    return rewrite_nodes(model, _rewrite, ("CONV_2D",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "CONV_2D" or not editor.is_float(*node.inputs, *node.outputs):
        return None
    resize = editor.made_by(node.inputs[0], "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
    weights = editor.floats(node, 1)
    if resize is None or weights is None or not editor.read_once(node.inputs[0]):
        return None
    small, large = editor.shape(resize.inputs[0], 4), editor.shape(node.inputs[0], 4)
    size = editor.integers(resize, 1)
    if small is None or large is None or size is None or not editor.is_float(resize.inputs[0]):
        return None
    pointwise = weights.shape[1:3] == (1, 1) and weights.shape[3] == small[3]
    steps = all(node.attrs.get(name, 1) == 1 for name in ("stride_w", "stride_h"))
    activation = node.attrs.get("fused_activation_function", "NONE")
    last = "NONE" if resize.op == "RESIZE_NEAREST_NEIGHBOR" else activation
    if not pointwise or not steps or last not in _ACTIVATIONS:
        return None
    fewer = 2 * small[1] * small[2] <= large[1] * large[2]
    # Where the convolution adds many channels, resizing them costs more than convolving fewer pixels saves.
    if not fewer or weights.shape[0] > 2 * small[3] or (last != "NONE" and small[3] < _ENOUGH_CHANNELS):
        return None
    name = editor.name(node)
    before = editor.value((*small[:3], weights.shape[0]), f"{name}/small")
    attrs = {**node.attrs, "fused_activation_function": "NONE" if last != "NONE" else activation}
    convolution = replace(node, inputs=(resize.inputs[0], *node.inputs[1:]), outputs=(before,), attrs=attrs)
    editor.builder.node(convolution)
    if last == "NONE":
        editor.builder.node(replace(resize, inputs=(before, *resize.inputs[1:]), outputs=node.outputs))
    else:
        result = editor.value((*large[:3], weights.shape[0]), f"{name}/large")
        editor.builder.node(replace(resize, inputs=(before, *resize.inputs[1:]), outputs=(result,)))
        editor.emit(last, (result,), node.outputs[0])
    return f"CONV_2D {name!r} runs on {small[1]}×{small[2]} pixels, before {resize.op}"


PASS = Pass("delay_upsampling", "convolve pointwise before upsampling", apply, grows=True)

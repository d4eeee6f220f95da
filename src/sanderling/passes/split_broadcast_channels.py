"""Convolves channels that are the same at every pixel once instead of at every pixel.

Global context (a pooled vector, upsampled from 1 × 1 to the size of the picture) is often concatenated to
local channels and mixed by a 1 × 1 convolution. That convolution is a sum over channels: the global part is
computed at one pixel and added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass

_UPSAMPLING = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
_ADDED = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True, slots=True)
class _Part:
    """An input of the concatenation.

    Attributes:
        source: the tensor, the single pixel of a broadcast one.
        shape: [N, H, W, C].
        broadcast: it is the same at every pixel.
        channels: its place among the concatenated channels.
    """

    source: int
    shape: Shape
    broadcast: bool
    channels: slice


def apply(model: Model) -> tuple[Model, list[str]]:
    """Splits in the main graph."""
    return rewrite_nodes(model, _rewrite, ("CONV_2D",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "CONV_2D" or not editor.is_float(*node.inputs, *node.outputs):
        return None
    together = editor.made_by(node.inputs[0], "CONCATENATION")
    weights, out = editor.floats(node, 1), editor.shape(node.outputs[0], 4)
    if together is None or weights is None or out is None or not editor.read_once(node.inputs[0]):
        return None
    parts = _parts(editor, together)
    one = weights.shape[1:3] == (1, 1) and all(node.attrs.get(n, 1) == 1 for n in ("stride_w", "stride_h"))
    activation = node.attrs.get("fused_activation_function", "NONE")
    if parts is None or not one or weights.shape[3] != parts[-1].channels.stop or activation not in _ADDED:
        return None
    local = [part for part in parts if not part.broadcast]
    if not local or len(local) == len(parts) or out[1] * out[2] < 4:
        return None
    bias = editor.bias(node, 2, weights.shape[0])
    if bias is None:
        return None
    _emit(editor, node, parts, weights, bias)
    count = sum(part.shape[3] for part in parts if part.broadcast)
    return f"CONV_2D {editor.name(node)!r} takes {count} of {weights.shape[3]} channels from a single pixel"


def _parts(editor: Editor, together: Node) -> list[_Part] | None:
    plain = together.attrs.get("fused_activation_function", "NONE") == "NONE"
    if not plain or together.attrs.get("axis", 0) not in (3, -1) or not editor.is_float(*together.inputs):
        return None
    parts: list[_Part] = []
    start = 0
    for index in together.inputs:
        shape = editor.shape(index, 4)
        if shape is None:
            return None
        stretch = editor.made_by(index, *_UPSAMPLING)
        small = editor.shape(stretch.inputs[0], 4) if stretch else None
        single = stretch is not None and small is not None and small[1:3] == (1, 1)
        if stretch is not None and not editor.is_float(stretch.inputs[0]):
            return None
        channels = slice(start, start + shape[3])
        source = stretch.inputs[0] if stretch is not None and single else index
        parts.append(_Part(source, small if small is not None and single else shape, single, channels))
        start = channels.stop
    return parts


def _emit(editor: Editor, node: Node, parts: Sequence[_Part], weights: Array, bias: Array) -> None:
    name = editor.name(node)
    groups = [[part for part in parts if part.broadcast is kind] for kind in (False, True)]
    sums = []
    for group, offset, label in zip(groups, (bias, np.zeros_like(bias)), ("local", "global"), strict=True):
        source = _joined(editor, group, f"{name}/{label}_channels")
        taken = np.concatenate([weights[..., part.channels] for part in group], axis=3)
        inputs = (
            source,
            editor.constant(taken, f"{name}/{label}_weights"),
            editor.constant(offset, f"{name}/{label}_bias"),
        )
        result = editor.value((*group[0].shape[:3], weights.shape[0]), f"{name}/{label}")
        attrs = {**node.attrs, "fused_activation_function": "NONE"}
        editor.builder.node(replace(node, inputs=inputs, outputs=(result,), attrs=attrs))
        sums.append(result)
    activation = node.attrs.get("fused_activation_function", "NONE")
    editor.emit(
        "ADD", sums, node.outputs[0], "AddOptions",
        {"fused_activation_function": activation, "pot_scale_int16": True},
    )  # fmt: skip


def _joined(editor: Editor, group: Sequence[_Part], name: str) -> int:
    if len(group) == 1:
        return group[0].source
    shape = (*group[0].shape[:3], sum(part.shape[3] for part in group))
    attrs = {"axis": 3, "fused_activation_function": "NONE"}
    sources = [part.source for part in group]
    return editor.emit("CONCATENATION", sources, (shape, name), "ConcatenationOptions", attrs)


PASS = Pass("split_broadcast_channels", "convolve what is the same at every pixel once", apply, grows=True)

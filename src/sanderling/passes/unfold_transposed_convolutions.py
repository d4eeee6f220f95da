"""Computes TRANSPOSE_CONV as a convolution whose output channels are interleaved into pixels.

With stride s every block of s × s output pixels depends on the same few input pixels: a convolution gives
the block as channels, DEPTH_TO_SPACE spreads them. XNNPACK's own kernel takes about four times as long per
multiplication, and leaves vectors idle where there are few output channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes._windows import Axis, axes
from sanderling.passes.rewrite import Pass

LANES = 16
WORTHWHILE = 1.3
# Predicted cost in vector multiply-adds (about 0.3 ns on the processors where this was fitted).
_PER_TAP, _PER_CHANNEL, _PER_SPREAD, _PER_OPERATOR = 2, 4, 4, 4000


@dataclass(frozen=True, slots=True)
class _Phases:
    """One dimension, unfolded: outputs s · m + phase read inputs m + lowest … m + lowest + kernel − 1.

    Attributes:
        stride: s, the number of phases.
        lowest: the first input that the block at 0 reads, at most 0.
        kernel: the inputs that a block reads.
        blocks: the number of blocks m.
        taps: (phase, place in the old kernel, place in the new one).
    """

    stride: int
    lowest: int
    kernel: int
    blocks: int
    taps: tuple[tuple[int, int, int], ...]


def apply(model: Model) -> tuple[Model, list[str]]:
    """Unfolds the transposed convolutions of the main graph for which it is predicted to pay."""
    return rewrite_nodes(model, lambda editor, node: unfold(editor, node, WORTHWHILE), ("TRANSPOSE_CONV",))


def unfold(editor: Editor, node: Node, least_gain: float) -> str | None:
    """Unfolds one node if it is predicted to run ``least_gain`` times as fast. Returns: what was done."""
    if node.op != "TRANSPOSE_CONV" or not editor.is_float(*node.inputs[1:], *node.outputs):
        return None
    shape, weights = editor.integers(node, 0), editor.floats(node, 1)
    image = editor.shape(node.inputs[2], 4)
    if shape is None or weights is None or weights.ndim != 4 or image is None:
        return None
    bias = editor.bias(node, 3, weights.shape[0])
    out = tuple(int(size) for size in shape.ravel())
    # The batch is part of a constant: a model that can be resized cannot run with another one anyway.
    if bias is None or len(out) != 4 or min(out) < 1 or out[0] != image[0] or weights.shape[3] != image[3]:
        return None
    ways = axes(node, out, (weights.shape[1], weights.shape[2]))
    if ways is None or (ways[0].out, ways[1].out) != image[1:3] or out[3] != weights.shape[0]:
        return None
    strides = (ways[0].stride, ways[1].stride)
    dense = all(way.dilation == 1 for way in ways)
    if not dense or not (strides[0] == strides[1] > 1 or (strides[0] == 1 < strides[1])):
        return None
    rows, columns = _phases(ways[0]), _phases(ways[1])
    gain = _gain(image, weights.shape, rows, columns)
    if gain < least_gain:
        return None
    _emit(editor, node, image, out, _unfolded(weights, rows, columns), bias, (rows, columns))
    return f"TRANSPOSE_CONV {editor.name(node)!r} became a convolution, predicted {gain:.1f}×"


def _phases(way: Axis) -> _Phases:
    """Source: output o = i · stride + tap − before, solved for the inputs i of o = stride · m + phase."""
    reads = []
    for phase in range(way.stride):
        whole, first = divmod(phase + way.before, way.stride)
        for step, tap in enumerate(range(first, way.kernel, way.stride)):
            reads.append((phase, tap, whole - step))
    lowest = min(0, *(place for _, _, place in reads))
    kernel = max(0, *(place for _, _, place in reads)) - lowest + 1
    taps = tuple((phase, tap, place - lowest) for phase, tap, place in reads)
    return _Phases(way.stride, lowest, kernel, -(-way.size // way.stride), taps)


def _gain(image: Shape, weights: Shape, rows: _Phases, columns: _Phases) -> float:
    channels, height, width, depth = weights
    pixels = image[1] * image[2]
    old = pixels * height * width * (_PER_TAP + _PER_CHANNEL * depth) * -(-channels // LANES)
    wide = channels * rows.stride * columns.stride
    positions = rows.blocks * columns.blocks
    new = positions * (rows.kernel * columns.kernel * (depth + 1) * -(-wide // LANES) + _PER_SPREAD * wide)
    return float(old / (new + 2 * _PER_OPERATOR))


def _unfolded(weights: Array, rows: _Phases, columns: _Phases) -> Array:
    """Returns: weights [s · s · O, KH, KW, I] of the convolution, phases outermost."""
    channels, _, _, depth = weights.shape
    shape = (rows.stride, columns.stride, channels, rows.kernel, columns.kernel, depth)
    unfolded = np.zeros(shape, np.float32)
    for row, i, y in rows.taps:
        for column, j, x in columns.taps:
            unfolded[row, column, :, y, x] = weights[:, i, j]
    return unfolded.reshape(-1, rows.kernel, columns.kernel, depth)


def _emit(
    editor: Editor, node: Node, image: Shape, out: Shape, weights: Array, bias: Array,
    ways: tuple[_Phases, _Phases],
) -> None:  # fmt: skip
    name, (rows, columns) = editor.name(node), ways
    source, sizes = node.inputs[2], list(image[1:3])
    pads = [
        (-way.lowest, max(way.blocks - 1 + way.kernel + way.lowest - size, 0))
        for way, size in zip(ways, sizes, strict=True)
    ]
    if any(map(any, pads)):
        source = editor.pad(source, image, ((0, 0), *pads, (0, 0)), f"{name}/padded")
        sizes = [size + sum(pad) for size, pad in zip(sizes, pads, strict=True)]
    high, wide = (size - way.kernel + 1 for size, way in zip(sizes, ways, strict=True))
    attrs = {
        "padding": "VALID", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1,
        "fused_activation_function": node.attrs.get("fused_activation_function", "NONE"),
    }  # fmt: skip
    inputs = (
        source,
        editor.constant(weights, f"{name}/weights"),
        editor.constant(np.tile(bias, rows.stride * columns.stride), f"{name}/bias"),
    )
    blocks = (image[0], high, wide, weights.shape[0])
    result = editor.emit("CONV_2D", inputs, (blocks, f"{name}/blocks"), "Conv2DOptions", attrs)
    whole = (image[0], high * rows.stride, wide * columns.stride, out[3])
    target: int | tuple[Shape, str] = node.outputs[0] if whole == out else (whole, f"{name}/all")
    if rows.stride > 1:
        block = {"block_size": rows.stride}
        result = editor.emit("DEPTH_TO_SPACE", (result,), target, "DepthToSpaceOptions", block)
    else:  # the phases of a row lie side by side already
        result = editor.reshape(result, whole, target if isinstance(target, int) else target[1])
    if whole != out:
        editor.cut(result, (0, 0, 0, 0), out, node.outputs[0])


PASS = Pass(
    "unfold_transposed_convolutions",
    "convolutions for TRANSPOSE_CONV",
    apply,
    grows=True,
)

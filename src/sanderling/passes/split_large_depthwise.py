"""Splits depthwise convolutions with more than 25 positions into dilated ones with fewer.

XNNPACK has vector kernels for depthwise convolutions of up to 25 positions; beyond these (7 × 7 and larger)
each multiplication takes up to 13 times as long. Every d-th row and column of the kernel, for each of the
d × d offsets, is a smaller kernel with dilation d; their results add up to the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes._windows import Axis, axes, fits_same
from sanderling.passes.rewrite import Pass

FAST_POSITIONS = 25
_DILATIONS = (2, 3, 4, 5)
# Measured cost per output element, in positions of a 3 × 3 kernel.
_SMALL, _LARGE, _SLOW_POSITION, _PER_ADD = 9, 37, 13, 2.5
_ADDED = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the kernel: rows and columns from an offset on, and their ways over the image."""

    weights: Array
    rows: Axis
    columns: Axis


def apply(model: Model) -> tuple[Model, list[str]]:
    """Splits in the main graph."""
    return rewrite_nodes(model, _rewrite, ("DEPTHWISE_CONV_2D",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "DEPTHWISE_CONV_2D" or not editor.is_float(*node.inputs, *node.outputs):
        return None
    image, weights = editor.shape(node.inputs[0], 4), editor.floats(node, 1)
    activation = node.attrs.get("fused_activation_function", "NONE")
    if image is None or weights is None or weights.ndim != 4 or activation not in _ADDED:
        return None
    height, width, channels = weights.shape[1:]
    ways = axes(node, image, (height, width))
    bias = editor.bias(node, 2, channels)
    if height * width <= FAST_POSITIONS or ways is None or bias is None:
        return None
    if any(way.stride != 1 or way.dilation != 1 for way in ways):
        return None
    choices = {d: list(_pieces(weights, ways, d)) for d in _DILATIONS}
    whole = {d: pieces for d, pieces in choices.items() if _covers(pieces)}
    best = min(whole, key=lambda d: _cost(whole[d]), default=None)
    if best is None or _cost(whole[best]) >= _SLOW_POSITION * height * width:
        return None
    _emit(editor, node, image, whole[best], bias)
    count = len(whole[best])
    return f"DEPTHWISE_CONV_2D {editor.name(node)!r} of {height}×{width} became {count} with dilation {best}"


def _pieces(weights: Array, ways: tuple[Axis, Axis], dilation: int) -> Iterator[_Piece]:
    for row in range(min(dilation, weights.shape[1])):
        for column in range(min(dilation, weights.shape[2])):
            part = weights[:, row::dilation, column::dilation]
            rows, columns = (
                replace(way, kernel=part.shape[axis + 1], dilation=dilation, before=way.before - offset)
                for axis, (way, offset) in enumerate(zip(ways, (row, column), strict=True))
            )
            yield _Piece(part, rows, columns)


def _covers(pieces: list[_Piece]) -> bool:
    """Returns: whether no piece would have to skip a part of the image, which padding cannot express."""
    ways = [way for piece in pieces for way in (piece.rows, piece.columns)]
    small = all(piece.rows.kernel * piece.columns.kernel <= FAST_POSITIONS for piece in pieces)
    return small and all(way.before >= 0 and way.after >= 0 for way in ways)


def _cost(pieces: list[_Piece]) -> float:
    counts = [piece.rows.kernel * piece.columns.kernel for piece in pieces]
    return sum(_SMALL if count <= 9 else _LARGE for count in counts) + _PER_ADD * (len(pieces) - 1)


def _emit(editor: Editor, node: Node, image: Shape, pieces: list[_Piece], bias: Array) -> None:
    name = editor.name(node)
    out = editor.shapes[node.outputs[0]]
    total = -1
    for count, piece in enumerate(pieces):
        offsets = bias if count == 0 else np.zeros_like(bias)
        part = _part(editor, node, image, piece, offsets)
        if total < 0:
            total = part
            continue
        last = count == len(pieces) - 1
        activation = node.attrs.get("fused_activation_function", "NONE") if last else "NONE"
        target = node.outputs[0] if last else (out, f"{name}/sum")
        attrs = {"fused_activation_function": activation, "pot_scale_int16": True}
        total = editor.emit("ADD", (total, part), target, "AddOptions", attrs)


def _part(editor: Editor, node: Node, image: Shape, piece: _Piece, bias: Array) -> int:
    name = editor.name(node)
    source, padding = node.inputs[0], "SAME"
    if not (fits_same(piece.rows) and fits_same(piece.columns)):
        # XNNPACK takes this PAD into the convolution.
        around = [(way.before, way.after) for way in (piece.rows, piece.columns)]
        source = editor.pad(source, image, ((0, 0), *around, (0, 0)), f"{name}/padded")
        padding = "VALID"
    attrs = {
        **node.attrs, "padding": padding, "fused_activation_function": "NONE",
        "dilation_h_factor": piece.rows.dilation, "dilation_w_factor": piece.columns.dilation,
    }  # fmt: skip
    weights = editor.constant(piece.weights, f"{name}/weights")
    offsets = editor.constant(bias, f"{name}/bias")
    result = editor.value(editor.shapes[node.outputs[0]], f"{name}/part")
    editor.builder.node(replace(node, inputs=(source, weights, offsets), outputs=(result,), attrs=attrs))
    return result


PASS = Pass("split_large_depthwise", "smaller dilated kernels for large depthwise ones", apply, grows=True)

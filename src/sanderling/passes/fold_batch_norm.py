"""Folds multiplications and additions by constants per channel into weights and biases.

What batch normalization leaves behind where a converter did not fold it: conv(x, w) + b, scaled by c and
shifted by d, is conv(x, w · c) + (b · c + d); also before an operator with weights, where padding allows.
Source: Jacob et al. 2018, "Quantization and Training of Neural Networks …", equation 14.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._windows import axes
from sanderling.passes.rewrite import Pass

# Position of the weights, axis of their output channels, position of the image, of the bias.
_WEIGHTED = {"CONV_2D": (1, 0, 0, 2), "DEPTHWISE_CONV_2D": (1, 3, 0, 2), "FULLY_CONNECTED": (1, 0, 0, 2)}
_ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
MAX_COPY_BYTES = 1 << 16
_SCALES = ("MUL", "ADD", "SUB", "DIV", "NEG")


@dataclass(frozen=True, slots=True)
class _Affine:
    """x · factor + offset, each of one element or one per channel, and what it reads."""

    source: int
    factor: Array
    offset: Array


def apply(model: Model) -> tuple[Model, list[str]]:
    """Folds in the main graph."""
    return rewrite_nodes(model, _rewrite)


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op in _SCALES:
        return _into_previous(editor, node)
    return _into_next(editor, node) if node.op in _WEIGHTED else None


def _affine(editor: Editor, node: Node) -> _Affine | None:
    """Returns: what the node does to its one operand that is no constant, activation apart."""
    if node.op not in _SCALES or not editor.is_float(*node.inputs, *node.outputs):
        return None
    one, zero = np.ones(1, np.float64), np.zeros(1, np.float64)
    if node.op == "NEG":
        return _Affine(node.inputs[0], -one, zero)
    values = [editor.floats(node, position) for position in (0, 1)]
    if len(node.inputs) != 2 or (values[0] is None) == (values[1] is None):
        return None
    at = 0 if values[0] is not None else 1
    told = values[at]
    out, taken = editor.shape(node.outputs[0]), editor.shape(node.inputs[1 - at])
    if told is None or out is None or out != taken or not out:
        return None
    per_channel = told.size == 1 or (told.shape[-1:] == out[-1:] and told.size == out[-1])
    if not per_channel or not np.isfinite(told).all():
        return None
    c = told.reshape(-1).astype(np.float64)
    source = node.inputs[1 - at]
    if node.op == "MUL":
        return _Affine(source, c, zero)
    if node.op == "ADD":
        return _Affine(source, one, c)
    if node.op == "SUB":
        return _Affine(source, one, -c) if at == 1 else _Affine(source, -one, c)
    return _Affine(source, 1 / c, zero) if at == 1 and (np.abs(c) > 1e-30).all() else None


def _into_previous(editor: Editor, node: Node) -> str | None:
    affine = _affine(editor, node)
    before = editor.made_by(affine.source, *_WEIGHTED) if affine else None
    if affine is None or before is None or not editor.read_once(affine.source):
        return None
    at, axis, _, bias_at = _WEIGHTED[before.op]
    weights = editor.floats(before, at)
    if weights is None or before.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    if not editor.is_float(*before.inputs):
        return None
    channels = weights.shape[axis]
    bias = editor.bias(before, bias_at, channels)
    if bias is None or affine.factor.size not in (1, channels) or affine.offset.size not in (1, channels):
        return None
    shape = [1] * weights.ndim
    shape[axis] = affine.factor.size
    activation = node.attrs.get("fused_activation_function", "NONE")
    if activation not in _ACTIVATIONS:
        return None
    attrs = {**before.attrs, "fused_activation_function": activation}
    moved = replace(before, outputs=node.outputs, attrs=attrs)
    scaled = weights * affine.factor.reshape(shape)
    shifted = np.broadcast_to(bias * affine.factor + affine.offset, (channels,))
    what = f"{node.op} {editor.name(node)!r} went into the {before.op} before it"
    return _emit(editor, node, moved, scaled, shifted, what)


def _into_next(editor: Editor, node: Node) -> str | None:
    before = editor.made_by(node.inputs[0], *_SCALES)
    affine = _affine(editor, before) if before else None
    at, axis, _, bias_at = _WEIGHTED[node.op]
    weights = editor.floats(node, at)
    if before is None or affine is None or weights is None or not editor.read_once(node.inputs[0]):
        return None
    if before.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    bias = editor.bias(node, bias_at, weights.shape[axis])
    image = editor.shape(node.inputs[0])
    if bias is None or image is None or not editor.is_float(*node.inputs, *node.outputs):
        return None
    depth = image[-1]
    # Per input channel: a flattened or grouped operand mixes channels in another order.
    if weights.shape[-1] != depth or {affine.factor.size, affine.offset.size} - {1, depth}:
        return None
    if affine.offset.any() and not _unpadded(node, image, weights):
        return None
    scaled = weights * affine.factor
    dims = tuple(d for d in range(weights.ndim) if d != axis)
    added = (weights * np.broadcast_to(affine.offset, (depth,))).sum(axis=dims, dtype=np.float64)
    moved = replace(node, inputs=(affine.source, *node.inputs[1:]))
    what = f"{before.op} {editor.name(before)!r} went into the {node.op} behind it"
    return _emit(editor, node, moved, scaled, bias + added, what)


def _unpadded(node: Node, image: tuple[int, ...], weights: Array) -> bool:
    if node.op == "FULLY_CONNECTED":
        return True
    ways = axes(node, image, (weights.shape[1], weights.shape[2])) if len(image) == 4 else None
    return ways is not None and all(way.before == 0 and way.after <= 0 for way in ways)


def _emit(editor: Editor, node: Node, moved: Node, weights: Array, bias: Array, what: str) -> str | None:
    values = [np.asarray(a, np.float32) for a in (weights, bias)]
    if not all(np.isfinite(a).all() for a in values):
        return None
    # Weights that several operators share would be stored once for each of them.
    if len(editor.readers(moved.inputs[1])) > 1 and values[0].nbytes > MAX_COPY_BYTES:
        return None
    name = editor.name(node)
    added = (editor.constant(values[0], f"{name}/weights"), editor.constant(values[1], f"{name}/bias"))
    editor.builder.node(replace(moved, inputs=(moved.inputs[0], *added)))
    return what


PASS = Pass("fold_batch_norm", "fold scales and offsets per channel into weights", apply)

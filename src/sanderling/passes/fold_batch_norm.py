"""Folds multiplications and additions by constants per channel into weights and biases.

What batch normalization leaves behind where a converter did not fold it: conv(x, w) + b, scaled by c and
shifted by d, is conv(x, w · c) + (b · c + d); also before an operator with weights, where padding allows.
Source: Jacob et al. 2018, "Quantization and Training of Neural Networks …", equation 14.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._affine import ACTIVATIONS, SCALES, affine
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._windows import axes
from sanderling.passes.rewrite import Pass

# Position of the weights, axis of their output channels, position of the image, of the bias.
_WEIGHTED = {
    "CONV_2D": (1, 0, 0, 2), "DEPTHWISE_CONV_2D": (1, 3, 0, 2), "FULLY_CONNECTED": (1, 0, 0, 2),
    "TRANSPOSE_CONV": (1, 0, 2, 3),
}  # fmt: skip
MAX_COPY_BYTES = 1 << 16


def apply(model: Model) -> tuple[Model, list[str]]:
    """Folds in the main graph."""
    return rewrite_nodes(model, _rewrite, {*SCALES, *_WEIGHTED})


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op in SCALES:
        return _into_previous(editor, node)
    return _into_next(editor, node) if node.op in _WEIGHTED else None


def _into_previous(editor: Editor, node: Node) -> str | None:
    scale = affine(editor, node)
    if scale is None or not editor.read_once(scale.source):
        return None
    pad = editor.made_by(scale.source, "PAD")
    # Zeros stay zeros when they are multiplied: the PAD may as well come afterwards.
    if pad is not None and (scale.offset.any() or not editor.read_once(pad.inputs[0])):
        return None
    before = editor.made_by(pad.inputs[0] if pad else scale.source, *_WEIGHTED)
    activation = node.attrs.get("fused_activation_function", "NONE")
    if before is None or activation not in ACTIVATIONS or not editor.is_float(*_reals(before)):
        return None
    at, axis, _, bias_at = _WEIGHTED[before.op]
    weights = editor.floats(before, at)
    if weights is None or before.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    channels = weights.shape[axis]
    bias = editor.bias(before, bias_at, channels)
    if bias is None or scale.factor.size not in (1, channels) or scale.offset.size not in (1, channels):
        return None
    shape = [1] * weights.ndim
    shape[axis] = scale.factor.size
    scaled = weights * scale.factor.reshape(shape)
    shifted = np.broadcast_to(bias * scale.factor + scale.offset, (channels,))
    attrs = {**before.attrs, "fused_activation_function": activation}
    moved = _with_weights(editor, replace(before, attrs=attrs), editor.name(node), scaled, shifted)
    if moved is None:
        return None
    if pad is None:
        editor.builder.node(replace(moved, outputs=node.outputs))
    else:
        unpadded = editor.value(editor.shapes[pad.inputs[0]], f"{editor.name(node)}/unpadded")
        editor.builder.node(replace(moved, outputs=(unpadded,)))
        editor.builder.node(replace(pad, inputs=(unpadded, *pad.inputs[1:]), outputs=node.outputs))
    return f"{node.op} {editor.name(node)!r} went into the {before.op} before it"


def _into_next(editor: Editor, node: Node) -> str | None:
    at, axis, image_at, bias_at = _WEIGHTED[node.op]
    source = node.inputs[image_at]
    pad = editor.made_by(source, "PAD") if editor.read_once(source) else None
    before = editor.made_by(pad.inputs[0] if pad else source, *SCALES)
    scale = affine(editor, before) if before else None
    weights = editor.floats(node, at)
    if before is None or scale is None or weights is None or not editor.read_once(before.outputs[0]):
        return None
    if before.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    bias = editor.bias(node, bias_at, weights.shape[axis])
    image = editor.shape(source)
    if bias is None or image is None or not editor.is_float(*_reals(node), *node.outputs):
        return None
    depth = image[-1]
    # Per input channel: a flattened or grouped operand mixes channels in another order.
    if weights.shape[-1] != depth or {scale.factor.size, scale.offset.size} - {1, depth}:
        return None
    if scale.offset.any() and (pad is not None or not _unpadded(node, image, weights)):
        return None
    dims = tuple(d for d in range(weights.ndim) if d != axis)
    added = (weights * np.broadcast_to(scale.offset, (depth,))).sum(axis=dims, dtype=np.float64)
    moved = _with_weights(editor, node, editor.name(node), weights * scale.factor, bias + added)
    if moved is None:
        return None
    plain = scale.source
    if pad is not None:
        plain = editor.value(image, f"{editor.name(node)}/padded")
        editor.builder.node(replace(pad, inputs=(scale.source, *pad.inputs[1:]), outputs=(plain,)))
    inputs = (*moved.inputs[:image_at], plain, *moved.inputs[image_at + 1 :])
    editor.builder.node(replace(moved, inputs=inputs))
    return f"{before.op} {editor.name(before)!r} went into the {node.op} behind it"


def _reals(node: Node) -> tuple[int, ...]:
    """Returns: the operands but for the shape that TRANSPOSE_CONV has first."""
    return node.inputs[1:] if node.op == "TRANSPOSE_CONV" else node.inputs


def _unpadded(node: Node, image: tuple[int, ...], weights: Array) -> bool:
    """Returns: whether every output sees the whole kernel, so that an offset adds the same to all."""
    if node.op == "FULLY_CONNECTED":
        return True
    if node.op == "TRANSPOSE_CONV" or len(image) != 4:
        return False
    ways = axes(node, image, (weights.shape[1], weights.shape[2]))
    return ways is not None and all(way.before == 0 and way.after <= 0 for way in ways)


def _with_weights(editor: Editor, node: Node, name: str, weights: Array, bias: Array) -> Node | None:
    values = [np.asarray(a, np.float32) for a in (weights, bias)]
    if not all(np.isfinite(a).all() for a in values):
        return None
    at, _, _, bias_at = _WEIGHTED[node.op]
    # Weights that several operators share would be stored once for each of them.
    if len(editor.readers(node.inputs[at])) > 1 and values[0].nbytes > MAX_COPY_BYTES:
        return None
    inputs = [*node.inputs, *[-1] * (bias_at + 1 - len(node.inputs))]
    inputs[at] = editor.constant(values[0], f"{name}/weights")
    inputs[bias_at] = editor.constant(values[1], f"{name}/bias")
    # The first versions of TRANSPOSE_CONV have neither bias nor activation.
    version = max(node.version, 4) if node.op == "TRANSPOSE_CONV" else node.version
    return replace(node, inputs=tuple(inputs), version=version)


PASS = Pass("fold_batch_norm", "fold scales and offsets per channel into weights", apply)

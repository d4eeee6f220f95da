"""Convolves groups of channels by one CONV_2D instead of by SPLIT, a convolution for each, CONCATENATION."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite, ("CONCATENATION",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "CONCATENATION" or len(node.inputs) < 2 or node.attrs.get("axis", 0) not in (3, -1):
        return None
    if node.attrs.get("fused_activation_function", "NONE") != "NONE" or not editor.is_float(*node.outputs):
        return None
    layers = [editor.made_by(index, "CONV_2D") for index in node.inputs]
    parts = [layer for layer in layers if layer is not None]
    if len(parts) != len(node.inputs) or len({layer.outputs[0] for layer in parts}) != len(parts):
        return None
    cut = editor.made_by(parts[0].inputs[0], "SPLIT", "SPLIT_V")
    if cut is None or [layer.inputs[0] for layer in parts] != list(cut.outputs):
        return None
    source = _source(editor, cut)
    alike = all(
        dict(layer.attrs) == dict(parts[0].attrs) and len(layer.inputs) == len(parts[0].inputs)
        for layer in parts
    )
    if source is None or not alike or not editor.hides([cut, *parts, node], node.outputs[0]):
        return None
    found = _weights(editor, parts)
    if found is None or not editor.is_float(source, *node.inputs):
        return None
    name = editor.name(node)
    weights, bias = (
        editor.constant(values, f"{name}/{what}")
        for values, what in zip(found, ("weights", "bias"), strict=True)
    )
    merged = replace(
        parts[0], inputs=(source, weights, bias), outputs=node.outputs, version=max(parts[0].version, 6)
    )
    editor.builder.node(merged)
    return f"{len(parts)} convolutions became CONV_2D {name!r} in as many groups"


def _source(editor: Editor, cut: Node) -> int | None:
    """Returns: the image that is split evenly along its channels."""
    source, position = (cut.inputs[1], 0) if cut.op == "SPLIT" else (cut.inputs[0], 2)
    axis, shape = editor.integers(cut, position), editor.shape(source, 4)
    parts = [editor.shape(index, 4) for index in cut.outputs]
    if axis is None or axis.size != 1 or shape is None or int(axis.flat[0]) % 4 != 3:
        return None
    even = all(part is not None and part[3] * len(parts) == shape[3] for part in parts)
    return source if even else None


def _weights(editor: Editor, parts: list[Node]) -> tuple[Array, Array] | None:
    """Returns: weights [groups · O, KH, KW, I] and bias of all groups."""
    kernels = [editor.floats(layer, 1) for layer in parts]
    first, image = kernels[0], editor.shape(parts[0].inputs[0], 4)
    if first is None or image is None or first.ndim != 4 or first.shape[3] != image[3]:
        return None
    every = [kernel for kernel in kernels if kernel is not None and kernel.shape == first.shape]
    offsets = [editor.bias(layer, 2, first.shape[0]) for layer in parts]
    known = [offset for offset in offsets if offset is not None]
    if len(every) != len(parts) or len(known) != len(parts):
        return None
    return np.concatenate(every), np.concatenate(known)


PASS = Pass("merge_split_convolutions", "one grouped convolution for one per group", apply)

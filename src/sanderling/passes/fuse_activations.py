"""Fuses RELU, RELU6 and RELU_N1_TO_1 into the operator before them."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1")
_TAKERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV",
           "AVERAGE_POOL_2D", "MAX_POOL_2D")  # fmt: skip


def apply(model: Model) -> tuple[Model, list[str]]:
    """Fuses in the main graph."""
    return rewrite_nodes(model, _rewrite)


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in _ACTIVATIONS:
        return None
    before = editor.made_by(node.inputs[0], *_TAKERS)
    if before is None or not editor.read_once(node.inputs[0]) or len(before.outputs) != 1:
        return None
    if before.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    # Integer operators clamp stored values: only there would the two orders round differently.
    if not editor.is_float(*before.inputs, *before.outputs, *node.outputs):
        return None
    attrs = {**before.attrs, "fused_activation_function": node.op}
    editor.builder.node(replace(before, outputs=node.outputs, attrs=attrs))
    return f"{node.op} {editor.name(node)!r} went into {before.op}"


PASS = Pass("fuse_activations", "fuse activations into the operator before them", apply)

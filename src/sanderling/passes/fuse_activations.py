"""Fuses RELU, RELU6 and RELU_N1_TO_1 into the operator before them."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import DType
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

# (fused already, behind it) → both.
_BOTH = {("NONE", kind): kind for kind in ("RELU", "RELU6", "RELU_N1_TO_1")} | {
    ("RELU", "RELU"): "RELU", ("RELU", "RELU6"): "RELU6", ("RELU6", "RELU"): "RELU6",
    ("RELU6", "RELU6"): "RELU6", ("RELU_N1_TO_1", "RELU_N1_TO_1"): "RELU_N1_TO_1",
}  # fmt: skip
_TAKERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV",
           "AVERAGE_POOL_2D", "MAX_POOL_2D")  # fmt: skip
_STORED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD")


def apply(model: Model) -> tuple[Model, list[str]]:
    """Fuses in the main graph."""
    return rewrite_nodes(model, _rewrite, ("RELU", "RELU6", "RELU_N1_TO_1"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    before = editor.made_by(node.inputs[0], *_TAKERS) if node.inputs else None
    if before is None or not editor.read_once(node.inputs[0]) or len(before.outputs) != 1:
        return None
    fused = _BOTH.get((before.attrs.get("fused_activation_function", "NONE"), node.op))
    if fused is None or not (_is_float(editor, before, node) or _keeps_scale(editor, before, node)):
        return None
    attrs = {**before.attrs, "fused_activation_function": fused}
    version = max(before.version, 4) if before.op == "TRANSPOSE_CONV" else before.version
    editor.builder.node(replace(before, outputs=node.outputs, attrs=attrs, version=version))
    return f"{node.op} {editor.name(node)!r} went into {before.op}"


def _is_float(editor: Editor, before: Node, node: Node) -> bool:
    reals = before.inputs[1:] if before.op == "TRANSPOSE_CONV" else before.inputs
    return editor.is_float(*reals, *before.outputs, *node.outputs)


def _keeps_scale(editor: Editor, before: Node, node: Node) -> bool:
    """Returns: whether both store the same integers, so that clamping them earlier rounds nothing anew."""
    between, after = (editor.graph.tensors[i].type for i in (before.outputs[0], node.outputs[0]))
    stored = between.dtype is after.dtype is DType.INT8 and between.quant == after.quant
    return stored and between.quant is not None and before.op in _STORED


PASS = Pass("fuse_activations", "fuse activations into the operator before them", apply, exact=True)

"""Merges a PAD with the PAD before it, and turns PADV2 with zeros into PAD."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node, Tensor
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite, ("PAD", "PADV2"))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op not in ("PAD", "PADV2"):
        return None
    if node.op == "PADV2" and _is_zero(editor, node):
        editor.builder.node(Node("PAD", node.inputs[:2], node.outputs, {}, "PadOptions"))
        return f"PADV2 {editor.name(node)!r} with zeros became PAD"
    before = editor.made_by(node.inputs[0], node.op)
    amounts = [editor.integers(one, 1) for one in (node, before)] if before else []
    if before is None or amounts[0] is None or amounts[1] is None or node.inputs[2:] != before.inputs[2:]:
        return None
    values = [editor.graph.tensors[i] for i in (before.inputs[0], node.inputs[0], node.outputs[0])]
    # Padding of stored integers is their zero point, so there has to be only one.
    if not _alike(values) or amounts[0].shape != amounts[1].shape or not editor.read_once(node.inputs[0]):
        return None
    if min(int(amount.min(initial=0)) for amount in amounts if amount is not None) < 0:
        return None
    total = editor.constant((amounts[0] + amounts[1]).astype(np.int32), "paddings")
    editor.builder.node(replace(node, inputs=(before.inputs[0], total, *node.inputs[2:])))
    return f"{node.op} {editor.name(node)!r} was merged with the one before it"


def _is_zero(editor: Editor, node: Node) -> bool:
    value = editor.floats(node, 2)
    return value is not None and value.size == 1 and not value.any() and editor.is_float(node.inputs[0])


def _alike(values: list[Tensor]) -> bool:
    return all(v.dtype is values[0].dtype and v.quant == values[0].quant for v in values)


PASS = Pass("merge_pads", "one PAD for two", apply, exact=True)

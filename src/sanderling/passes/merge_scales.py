"""Merges multiplications and additions by constants that follow each other into one of each.

What is left of batch normalization where no convolution can take it in: (x − mean) / deviation · gamma + beta
is x · c + d.
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._affine import ACTIVATIONS, SCALES, Affine, affine
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

# x · c + d loses the bits of x − m that m takes: bounded by what pictures from 0 to 255 need.
MAX_SHIFT = 256.0


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite, SCALES)


def _rewrite(editor: Editor, node: Node) -> str | None:
    last = affine(editor, node)
    activation = node.attrs.get("fused_activation_function", "NONE")
    if last is None or activation not in ACTIVATIONS:
        return None
    length, total = 1, last
    while (before := _before(editor, total.source)) is not None:
        if not np.all(np.abs(before.offset) <= MAX_SHIFT * np.abs(before.factor)):
            break
        factor, offset = before.factor * total.factor, before.offset * total.factor + total.offset
        total, length = Affine(before.source, factor, offset), length + 1
    values = [np.asarray(a, np.float32) for a in (total.factor, total.offset)]
    kept = [bool((values[0] != 1).any()), bool(values[1].any())]
    if length <= sum(kept) or not all(np.isfinite(a).all() for a in values):
        return None
    if not any(kept) and activation != "NONE":
        return None
    _emit(editor, node, total, values, kept)
    return f"{length} scales and offsets by constants became {sum(kept)} at {editor.name(node)!r}"


def _before(editor: Editor, index: int) -> Affine | None:
    node = editor.producers.get(index)
    if node is None or not editor.read_once(index):
        return None
    plain = node.attrs.get("fused_activation_function", "NONE") == "NONE"
    return affine(editor, node) if plain else None


def _emit(editor: Editor, node: Node, total: Affine, values: list[np.ndarray], kept: list[bool]) -> None:
    if not any(kept):
        editor.forward(total.source, node.outputs[0])
        return
    name, source = editor.name(node), total.source
    attrs = {"fused_activation_function": node.attrs.get("fused_activation_function", "NONE")}
    steps = [step for step, needed in zip(("MUL", "ADD"), kept, strict=True) if needed]
    for op in steps:
        operand = editor.constant(values[op == "ADD"], f"{name}/{op.lower()}")
        last = op == steps[-1]
        target = node.outputs[0] if last else (editor.shapes[node.outputs[0]], f"{name}/scaled")
        given = attrs if last else {"fused_activation_function": "NONE"}
        source = editor.emit(op, (source, operand), target, f"{op.capitalize()}Options", given)


PASS = Pass("merge_scales", "one multiplication and one addition for several", apply)

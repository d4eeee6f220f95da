"""Computes layer and instance normalization from the centered value.

Converters write x · s + (beta − mean · s) with s = gamma / √(variance + ε): s is as large as x, and where the
mean is large the two halves cancel. (x − mean) · (1 / √…) · gamma + beta has one operator less on whole
tensors, and no cancellation. There is no builtin operator for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._match import Match
from sanderling.passes.rewrite import Pass


@dataclass(frozen=True, slots=True)
class _Norm:
    """x · (inverse · gamma) + (beta − mean · (inverse · gamma)), as tensor indices."""

    x: int
    mean: int
    inverse: int
    gamma: int
    beta: int


def apply(model: Model) -> tuple[Model, list[str]]:
    """Rewrites in the main graph."""
    return rewrite_nodes(model, _rewrite, ("ADD",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "ADD" or len(node.inputs) != 2 or not editor.is_float(*node.inputs, *node.outputs):
        return None
    norm = _found(editor, node, node.inputs) or _found(editor, node, node.inputs[::-1])
    if norm is None:
        return None
    shape, name = editor.shapes[node.outputs[0]], editor.name(node)
    plain = {"fused_activation_function": "NONE"}
    last = {"fused_activation_function": node.attrs.get("fused_activation_function", "NONE")}
    centered = editor.emit("SUB", (norm.x, norm.mean), (shape, f"{name}/centered"), "SubOptions", plain)
    unit = editor.emit("MUL", (centered, norm.inverse), (shape, f"{name}/unit"), "MulOptions", plain)
    scaled = editor.emit("MUL", (unit, norm.gamma), (shape, f"{name}/scaled"), "MulOptions", plain)
    editor.emit("ADD", (scaled, norm.beta), node.outputs[0], "AddOptions", last)
    return f"normalization {name!r} is computed from the centered value"


def _found(editor: Editor, node: Node, operands: tuple[int, ...]) -> _Norm | None:
    match = Match(editor)
    product, shift = match.above(operands[0], "MUL"), match.above(operands[1], "ADD", "SUB")
    if product is None or shift is None:
        return None
    for x, scale in (product.inputs, product.inputs[::-1]):
        spread = match.above(scale, "MUL")
        moved = _shift(match, shift, scale) if spread else None
        if spread is None or moved is None or editor.shape(x) != editor.shape(node.outputs[0]):
            continue
        constants = [editor.floats(spread, place) is not None for place in (0, 1)]
        if sum(constants) != 1 or not match.ends(node):
            continue
        inverse, gamma = spread.inputs[:: -1 if constants[0] else 1]
        mean, beta = moved
        rows, whole = editor.shape(inverse), editor.shape(x)
        # Only where statistics are small: otherwise there is nothing to gain.
        if rows is None or rows != editor.shape(mean) or rows == whole or editor.shape(scale) != whole:
            continue
        return _Norm(x, mean, inverse, gamma, beta)
    return None


def _shift(match: Match, shift: Node, scale: int) -> tuple[int, int] | None:
    """Returns: mean and beta of beta − mean · scale, or of beta + (−mean) · scale."""
    editor = match.editor
    places = (1,) if shift.op == "SUB" else (0, 1)
    for place in places:
        beta = shift.inputs[1 - place]
        product = match.above(shift.inputs[place], "MUL")
        if product is None or scale not in product.inputs or editor.floats(shift, 1 - place) is None:
            continue
        mean = product.inputs[1 - product.inputs.index(scale)]
        if shift.op == "SUB":
            return mean, beta
        negative = match.above(mean, "NEG")
        if negative is not None:
            return negative.inputs[0], beta
    return None


PASS = Pass("recenter_normalizations", "layer normalization from the centered value", apply)

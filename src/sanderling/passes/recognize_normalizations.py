"""Puts SOFTMAX, LOG_SOFTMAX and MEAN in the place of the arithmetic that they stand for.

Layer and instance normalization have no operator of their own: their arithmetic stays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._match import Match, keeps_dimension, scalar
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Replaces in the main graph."""
    return rewrite_nodes(model, _rewrite, _PATTERNS)


def _rewrite(editor: Editor, node: Node) -> str | None:
    patterns = _PATTERNS.get(node.op, ())
    if not patterns or len(node.inputs) != 2 or not editor.is_float(*node.inputs, *node.outputs):
        return None
    if node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return None
    for pattern in patterns:
        done = pattern(editor, node)
        if done is not None:
            return done
    return None


def _softmax(editor: Editor, node: Node) -> str | None:
    match = Match(editor)
    pair = _divided(match, node)
    if pair is None:
        return None
    power, total = pair
    exp = match.above(power, "EXP")
    if exp is None or match.reduced(total, "SUM") != power or not keeps_dimension(editor, node, total):
        return None
    source = _shifted(match, exp.inputs[0])
    if not match.ends(node) or editor.shape(source) is None:
        return None
    editor.emit("SOFTMAX", (source,), node.outputs[0], "SoftmaxOptions", {"beta": 1.0})
    return f"{len(match.nodes) + 1} operators became SOFTMAX {editor.name(node)!r}"


def _log_softmax(editor: Editor, node: Node) -> str | None:
    match = Match(editor)
    shifted, total = node.inputs
    log = match.above(total, "LOG")
    power = match.reduced(log.inputs[0], "SUM") if log else None
    exp = match.above(power, "EXP") if power is not None else None
    if exp is None or exp.inputs[0] != shifted or not keeps_dimension(editor, node, total):
        return None
    source = _shifted(match, shifted)
    if not match.ends(node):
        return None
    editor.emit("LOG_SOFTMAX", (source,), node.outputs[0], "LogSoftmaxOptions")
    return f"{len(match.nodes) + 1} operators became LOG_SOFTMAX {editor.name(node)!r}"


def _shifted(match: Match, index: int) -> int:
    """Returns: what the greatest element was subtracted from, or the value itself."""
    editor, tried = match.editor, Match(match.editor)
    less = tried.above(index, "SUB")
    whole = tried.reduced(less.inputs[1], "REDUCE_MAX") if less and editor.shape(index) else None
    if less is None or whole is None or whole != less.inputs[0]:
        return index
    if not keeps_dimension(editor, less, less.inputs[1]):
        return index
    match.nodes += tried.nodes
    return whole


def _divided(match: Match, node: Node) -> tuple[int, int] | None:
    """Returns: numerator and denominator, also where the reciprocal is multiplied with."""
    if node.op == "DIV":
        return node.inputs[0], node.inputs[1]
    for place in (0, 1):
        inverse = match.editor.made_by(node.inputs[place], "DIV")
        one = match.editor.floats(inverse, 0) if inverse else None
        if inverse is not None and one is not None and one.size == 1 and one.flat[0] == 1:
            match.nodes.append(inverse)
            return node.inputs[1 - place], inverse.inputs[1]
    return None


def _mean(editor: Editor, node: Node) -> str | None:
    found = scalar(editor, node)
    if found is None or (node.op == "DIV" and editor.floats(node, 1) is None):
        return None
    factor = found[0] if node.op == "MUL" else 1 / found[0] if found[0] else np.inf
    match = Match(editor)
    total = match.above(found[1], "SUM")
    shape = editor.shape(total.inputs[0]) if total else None
    axes = editor.integers(total, 1) if total else None
    if total is None or shape is None or axes is None or not match.ends(node):
        return None
    sizes = [shape[axis] for axis in {int(axis) % len(shape) for axis in axes.ravel()}]
    same = editor.shape(found[1]) == editor.shape(node.outputs[0])
    if min(sizes, default=0) < 1 or not same or abs(factor * np.prod(sizes) - 1) > 1e-6:
        return None
    editor.emit("MEAN", total.inputs[:2], node.outputs[0], "ReducerOptions", dict(total.attrs))
    return f"SUM and {node.op} became MEAN {editor.name(node)!r}"


_Pattern = Callable[[Editor, Node], str | None]
_PATTERNS: dict[str, tuple[_Pattern, ...]] = {
    "DIV": (_softmax, _mean),
    "MUL": (_softmax, _mean),
    "SUB": (_log_softmax,),
}

PASS = Pass("recognize_normalizations", "SOFTMAX and MEAN for their arithmetic", apply)

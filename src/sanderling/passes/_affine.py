"""Multiplications and additions by constants, one per channel or one for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array
from sanderling.passes._editor import Editor

SCALES = ("MUL", "ADD", "SUB", "DIV", "NEG")
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True, slots=True)
class Affine:
    """x · factor + offset, each of one element or one per channel, and what it reads."""

    source: int
    factor: Array
    offset: Array


def affine(editor: Editor, node: Node) -> Affine | None:
    """Returns: what the node does to its one operand that is no constant, activation apart."""
    if node.op not in SCALES or not editor.is_float(*node.inputs, *node.outputs):
        return None
    one, zero = np.ones(1, np.float64), np.zeros(1, np.float64)
    if node.op == "NEG":
        return Affine(node.inputs[0], -one, zero)
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
        return Affine(source, c, zero)
    if node.op == "ADD":
        return Affine(source, one, c)
    if node.op == "SUB":
        return Affine(source, one, -c) if at == 1 else Affine(source, -one, c)
    return Affine(source, 1 / c, zero) if at == 1 and (np.abs(c) > 1e-30).all() else None

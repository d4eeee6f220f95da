"""What recurrent layers share: their weights, their state, and the plain cell.

State is an operand that the file marks as a variable. ``remember`` writes the new state into its array, so
that whoever calls with the same array again goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array
from sanderling.ops._activation import activate
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._operands import Shape, Values, invalid, operand, optional, whole
from sanderling.ops._quantized import dequantize
from sanderling.ops._shapes import merged
from sanderling.ops._weighted import kind_of, multiply_hybrid
from sanderling.ops.op import Operands, Types

Matrix = Callable[[Values], Values]
Cell = Callable[[Values], Values]


def matrix(node: Node, inputs: Sequence[Array | None], types: Types, position: int) -> Matrix:
    """Returns: x [B, I] → x times the weights [U, I] at ``position``, of real numbers or stored integers.

    Weights [U] stand for a diagonal.
    """
    weights = given(inputs, position)
    if weights.ndim == 1:
        diagonal = vector_of(node, inputs, types, position)
        return lambda x: np.asarray(x * diagonal)
    kind = kind_of(types, position)
    if not kind.is_quantized:
        return lambda x: np.asarray(x @ weights.T)
    return lambda x: multiply_hybrid(node, x, weights.T, kind)


def vector_of(node: Node, inputs: Sequence[Array | None], types: Types, position: int) -> Values:
    """Returns: a vector of real numbers, dequantized where integers are stored."""
    values, kind = given(inputs, position), kind_of(types, position)
    return dequantize(node, values, kind) if kind.is_quantized else values


def maybe_vector(node: Node, inputs: Sequence[Array | None], types: Types, position: int) -> Values | None:
    """Returns: an optional vector of real numbers."""
    absent = given_or_none(inputs, position) is None
    return None if absent else vector_of(node, inputs, types, position)


def remember(node: Node, state: Values, value: Values) -> None:
    """Writes the new state into the array that holds it."""
    if not state.flags.writeable:
        raise invalid(node, "its state is no variable")
    state[...] = value


def checked(node: Node, inputs: Operands, position: int, shape: Shape) -> None:
    """Makes sure that an operand has this shape."""
    merged(node, operand(node, inputs, position).shape, shape)


def checked_optional(node: Node, inputs: Operands, position: int, shape: Shape) -> bool:
    """Makes sure that an operand, where there is one, has this shape. Returns: whether it is there."""
    there = optional(inputs, position) is not None
    if there:
        checked(node, inputs, position, shape)
    return there


def plain_cell(node: Node, inputs: Sequence[Array | None], types: Types, first: int) -> Cell:
    """Returns: one step of a plain recurrent layer, act(W x + R h + b), which also keeps h.

    Args:
        first: position of the weights; recurrent weights, bias and state follow.
    """
    weights, recurrent = (matrix(node, inputs, types, first + i) for i in range(2))
    bias, state = given(inputs, first + 2), given(inputs, first + 3)

    def cell(x: Values) -> Values:
        result = activate(node, bias + weights(x) + recurrent(state))
        remember(node, state, result)
        return result

    return cell


def plain_units(node: Node, inputs: Operands, first: int, batch: int, features: int) -> int:
    """Checks the operands of a plain cell. Returns: the number of its units."""
    weights = operand(node, inputs, first)
    if len(weights.shape) != 2:
        raise invalid(node, f"its weights have shape {weights.shape}, expected a matrix")
    units = weights.shape[0]
    checked(node, inputs, first, (units, features))
    checked(node, inputs, first + 1, (units, units))
    checked(node, inputs, first + 2, (units,))
    checked(node, inputs, first + 3, (batch, units))
    return units


def over_time(node: Node, x: Values, cell: Cell, *, reverse: bool = False) -> Values:
    """Runs a cell along the steps of x [T, B, I], or [B, T, I] unless ``time_major``.

    Returns: its outputs, in the same layout.
    """
    axis = 0 if whole(node, "time_major") else 1
    steps = list(np.moveaxis(x, axis, 0))
    results = [cell(step) for step in (reversed(steps) if reverse else steps)]
    return np.stack(results[::-1] if reverse else results, axis=axis)


def layout(node: Node, shape: Shape) -> tuple[int, int]:
    """Returns: the number of steps and of sequences in x [T, B, I] or [B, T, I]."""
    return (shape[0], shape[1]) if whole(node, "time_major") else (shape[1], shape[0])

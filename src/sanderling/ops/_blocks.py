"""Operands that come in pairs or per spatial dimension: paddings, crops, block shapes."""

from __future__ import annotations

from sanderling.graph.graph import Node
from sanderling.ops._operands import INTEGERS, integers, invalid, typed
from sanderling.ops.op import Operands


def pairs(node: Node, inputs: Operands, position: int, count: int) -> list[tuple[int, int]] | None:
    """Returns: an integer operand [count, 2] as (before, after), none negative; None if not yet known."""
    tensor = typed(node, inputs, position, *INTEGERS)
    if tensor.shape != (count, 2) and -1 not in tensor.shape:
        raise invalid(node, f"operand {position} has shape {tensor.shape}, expected {(count, 2)}")
    flat = integers(node, inputs, position)
    if flat is None:
        return None
    if min(flat, default=0) < 0:
        raise invalid(node, f"operand {position} holds {min(flat)}, expected no negative number")
    return list(zip(flat[::2], flat[1::2], strict=True))


def block_operands(
    node: Node, inputs: Operands, rank: int
) -> tuple[list[int] | None, list[tuple[int, int]] | None, int]:
    """Returns: block shape [M], paddings or crops [M, 2], and M, the number of spatial dimensions."""
    tensor = typed(node, inputs, 1, *INTEGERS)
    if len(tensor.shape) != 1 or not 1 <= tensor.shape[0] < rank:
        raise invalid(node, f"its block shape has shape {tensor.shape}, its operand rank {rank}")
    block = integers(node, inputs, 1)
    if block is not None and min(block) < 1:
        raise invalid(node, f"its block shape is {block}, expected sizes of at least 1")
    return block, pairs(node, inputs, 2, tensor.shape[0]), tensor.shape[0]

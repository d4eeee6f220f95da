"""Arithmetic on shapes. −1 stands for a size that is known only at run time."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from sanderling.graph.graph import Node
from sanderling.ops._operands import Shape, invalid


def broadcast(node: Node, *shapes: Sequence[int]) -> Shape:
    """Returns: the shape of an elementwise operation on these, as in NumPy."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(_together(node, sizes, shapes) for sizes in zip(*padded, strict=True))


def _together(node: Node, sizes: tuple[int, ...], shapes: Sequence[Sequence[int]]) -> int:
    known = {size for size in sizes if size not in (-1, 1)}
    if len(known) > 1:
        told = " and ".join(str(tuple(shape)) for shape in shapes)
        raise invalid(node, f"shapes {told} do not broadcast")
    if known:
        return known.pop()
    return -1 if -1 in sizes else 1


def broadcasts_to(node: Node, shape: Sequence[int], target: Sequence[int]) -> None:
    """Checks that a tensor of ``shape`` can be stretched to ``target``."""
    if len(shape) > len(target) or any(
        size not in (1, -1, want) and want != -1
        for size, want in zip(reversed(shape), reversed(target), strict=False)
    ):
        raise invalid(node, f"shape {tuple(shape)} cannot be broadcast to {tuple(target)}")


def same_size(node: Node, left: int, right: int, what: str) -> int:
    """Returns: the size that two dimensions have in common."""
    if -1 not in (left, right) and left != right:
        raise invalid(node, f"{what} are {left} and {right}, expected equal sizes")
    return right if left == -1 else left


def merged(node: Node, *shapes: Sequence[int]) -> Shape:
    """Returns: the shape that all of these have, unknown sizes filled in from each other."""
    result = tuple(shapes[0])
    for shape in shapes[1:]:
        if len(shape) != len(result):
            raise invalid(
                node, f"its operands have ranks {len(result)} and {len(shape)}, expected equal ones"
            )
        result = tuple(same_size(node, a, b, "sizes") for a, b in zip(result, shape, strict=True))
    return result


def elements(shape: Sequence[int]) -> int:
    """Returns: the number of elements, −1 when a size is unknown."""
    return -1 if -1 in shape else prod(shape)


def times(*sizes: int) -> int:
    """Returns: the product, −1 when a factor is unknown."""
    return -1 if -1 in sizes else prod(sizes)


def known(*sizes: int) -> int:
    """Returns: the product with unknown sizes counted as 1, for costs."""
    return prod(1 if size < 0 else size for size in sizes)

"""The rules of STRIDED_SLICE: what its masks, its begins, ends and strides select."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sanderling.graph.graph import Node
from sanderling.ops._operands import invalid, whole

Bounds = Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one dimension.

    Attributes:
        axis: the input's dimension, None for a new one of size 1.
        entry: position in begin, end and strides; None where the whole dimension is taken.
        shrink: the dimension is dropped.
    """

    axis: int | None
    entry: int | None = None
    shrink: bool = False


def steps(node: Node, rank: int, entries: int) -> list[Step]:
    """Resolves the masks for ``ellipsis``, ``new axis`` and ``shrink axis``."""
    ellipsis, new, shrink = (
        whole(node, name) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    )
    if sum(ellipsis >> i & 1 for i in range(entries)) > 1:
        raise invalid(node, "it has more than one ellipsis")
    taken = sum(not (ellipsis | new) >> i & 1 for i in range(entries))
    if taken > rank:
        raise invalid(node, f"it slices {taken} dimensions of a tensor of rank {rank}")
    found: list[Step] = []
    axis = 0
    for entry in range(entries):
        if ellipsis >> entry & 1:
            found += [Step(axis + i) for i in range(rank - taken)]
            axis += rank - taken
        elif new >> entry & 1:
            found.append(Step(None))
        else:
            found.append(Step(axis, entry, bool(shrink >> entry & 1)))
            axis += 1
    return found + [Step(i) for i in range(axis, rank)]


def strided(node: Node, size: int, step: Step, begin: Bounds, end: Bounds, strides: Bounds) -> range | None:
    """Returns: the positions that ``step`` takes from a dimension of ``size``; None if not yet known."""
    if step.entry is None:
        return None if size < 0 else range(size)
    entry = step.entry
    stride = None if strides is None else strides[entry]
    if stride == 0:
        raise invalid(node, f"stride {entry} is 0")
    if size < 0 or stride is None:
        return None
    start = _start(node, size, entry, stride, begin)
    if step.shrink:
        if start is not None and not 0 <= start < size:
            raise invalid(node, f"index {entry} lies outside of a dimension of size {size}")
        return None if start is None else range(start, start + 1)
    stop = _stop(node, size, entry, stride, start, end)
    return None if start is None or stop is None else range(start, stop, stride)


def _start(node: Node, size: int, entry: int, stride: int, begin: Bounds) -> int | None:
    if whole(node, "begin_mask") >> entry & 1:
        return 0 if stride > 0 else size - 1
    if begin is None:
        return None
    return _clamped(begin[entry], size, stride)


def _stop(node: Node, size: int, entry: int, stride: int, start: int | None, end: Bounds) -> int | None:
    if whole(node, "end_mask") >> entry & 1:
        return size if stride > 0 else -1
    if end is None or start is None:
        return None
    return _clamped(end[entry] + (start if whole(node, "offset") else 0), size, stride)


def _clamped(index: int, size: int, stride: int) -> int:
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    return min(max(index + size if index < 0 else index, low), high)

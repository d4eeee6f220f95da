"""Reshaping a value without moving its elements, whatever order its axes are stored in."""

from __future__ import annotations

from sanderling.onnx.read.builder import Value, plain_order
from sanderling.onnx.read.call import Call

Segment = tuple[tuple[int, ...], tuple[int, ...]]


def regrouped(call: Call, x: Value, shape: tuple[int, ...]) -> Value:
    """Returns: the value in another shape (ONNX's, of as many elements).

    A reshape splits and joins neighbouring axes. Where the axes that are joined lie side by side in memory,
    nothing has to move: the stored axes are split and joined as they lie. Else they are brought together.
    """
    builder = call.builder
    if builder.shape(x) == shape:
        return x
    root = builder.origins.get(x, x)
    # A reshape of a reshape is one of the first value: perhaps nothing has to move for that.
    source = root if _moves(call, root, shape) is False else x
    if builder.shape(source) == shape:
        return source
    found = _regrouped(call, source, shape)
    builder.origins[found] = root
    return found


def _moves(call: Call, x: Value, shape: tuple[int, ...]) -> bool | None:
    """Returns: whether axes have to be brought together first; None if that cannot be told."""
    old = call.builder.shape(x)
    segments = None if 0 in old else _segments(old, shape)
    return None if segments is None else _together(x.order, segments) != x.order


def _regrouped(call: Call, x: Value, shape: tuple[int, ...]) -> Value:
    builder = call.builder
    old = builder.shape(x)
    segments = None if 0 in old else _segments(old, shape)
    if segments is None:
        return Value(builder.reshape(builder.plain(x), shape, call.name), plain_order(len(shape)))
    together = _together(x.order, segments)
    index = builder.stored(x, together)
    by_axis = {axis: position for position, (ours, _) in enumerate(segments) for axis in ours}
    order: list[int] = []
    seen: set[int] = set()
    for axis in together:
        position = by_axis.get(axis)
        if position is not None and position not in seen:
            seen.add(position)
            order += segments[position][1]
    # Axes of size 1 may lie anywhere; in front of the next larger one they keep a plain value plain.
    for axis in (a for a, size in enumerate(shape) if a not in order and size == 1):
        later = [i for i, other in enumerate(order) if other > axis]
        order.insert(min(later, default=len(order)), axis)
    return Value(builder.reshape(index, tuple(shape[axis] for axis in order), call.name), tuple(order))


def _segments(old: tuple[int, ...], new: tuple[int, ...]) -> list[Segment] | None:
    """Returns: runs of axes (larger than 1) that hold the same elements before and after; None if the two
    shapes do not hold as many."""
    ours = [axis for axis, size in enumerate(old) if size != 1]
    theirs = [axis for axis, size in enumerate(new) if size != 1]
    found: list[Segment] = []
    i = j = 0
    while i < len(ours) or j < len(theirs):
        if i >= len(ours) or j >= len(theirs):
            return None
        a, b = [ours[i]], [theirs[j]]
        left, right = old[ours[i]], new[theirs[j]]
        i, j = i + 1, j + 1
        while left != right:
            if left < right and i < len(ours):
                left, i = left * old[ours[i]], i + 1
                a.append(ours[i - 1])
            elif right < left and j < len(theirs):
                right, j = right * new[theirs[j]], j + 1
                b.append(theirs[j - 1])
            else:
                return None
        found.append((tuple(a), tuple(b)))
    return found


def _together(order: tuple[int, ...], segments: list[Segment]) -> tuple[int, ...]:
    """Returns: the order in which the axes of each run stand side by side, and else as they were."""
    by_axis = {axis: ours for ours, _ in segments for axis in ours}
    found: list[int] = []
    for axis in order:
        for each in by_axis.get(axis, (axis,)):
            if each not in found:
                found.append(each)
    return tuple(found)

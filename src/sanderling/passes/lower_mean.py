"""MEAN as a SUM that is divided by the number of elements."""

from __future__ import annotations

from math import prod

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    axes, shape = at.editor.integers(at.node, 1), at.shape_of(at.x)
    if axes is None:
        return False
    count = prod(shape[axis] for axis in {int(axis) % len(shape) for axis in axes.ravel()})
    if count < 1:
        return False
    total = at("SUM", *at.node.inputs, keep_dims=bool(at.node.attrs.get("keep_dims")))
    at.last("MUL", total, at.number(1 / count))
    return True


PASS = lowering("MEAN", ("MUL", "SUM"), lower)

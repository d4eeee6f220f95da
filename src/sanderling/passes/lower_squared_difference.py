"""SQUARED_DIFFERENCE as the square of SUB."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    less = at("SUB", at.x, at.node.inputs[1])
    at.last("MUL", less, less)
    return True


PASS = lowering("SQUARED_DIFFERENCE", ("MUL", "SUB"), lower)

"""SQUARE as x · x."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MUL", at.x, at.x)
    return True


PASS = lowering("SQUARE", ("MUL",), lower)

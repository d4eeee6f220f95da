"""RELU as the greater of x and 0."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MAXIMUM", at.x, at.number(0))
    return True


PASS = lowering("RELU", ("MAXIMUM",), lower)

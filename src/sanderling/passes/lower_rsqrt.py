"""RSQRT as 1 / √x."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("DIV", at.number(1), at("SQRT", at.x))
    return True


PASS = lowering("RSQRT", ("DIV", "SQRT"), lower)

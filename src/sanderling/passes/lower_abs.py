"""ABS as the greater of x and −x."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MAXIMUM", at.x, at("MUL", at.x, at.number(-1)))
    return True


PASS = lowering("ABS", ("MAXIMUM", "MUL"), lower)

"""RELU6 as the x between 0 and 6."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MINIMUM", at("MAXIMUM", at.x, at.number(0)), at.number(6))
    return True


PASS = lowering("RELU6", ("MAXIMUM", "MINIMUM"), lower)
